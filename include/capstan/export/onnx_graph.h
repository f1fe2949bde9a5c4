// An ONNX graph under construction: typed values, nodes and initializers. It knows ONNX, not models.
//
//   onnx::Graph graph("encoder");
//   const onnx::Value x = graph.input("x", onnx::Type::kFloat, {"batch_size", 3});
//   const onnx::Value w = graph.initializer("w", weight);
//   graph.output(graph.node("MatMul", {x, w}, {}, {{onnx::Type::kFloat, {"batch_size", 4}}})[0], "y");
//   onnx::write_model(graph, "y.onnx");
//
// Specification: https://github.com/onnx/onnx/blob/main/docs/IR.md, operator set 17, IR version 8.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace capstan::onnx {

inline constexpr int kOpset = 17;
inline constexpr int kIrVersion = 8;

// Element types by their numbers in TensorProto.DataType.
enum class Type : int { kFloat = 1, kUInt8 = 2, kInt8 = 3, kInt32 = 6, kInt64 = 7, kBool = 9, kFloat16 = 10 };

// One dimension: a size, or the name of a size that is known only when the graph runs ("" when it has no name).
struct Dim {
  Dim(std::int64_t fixed) : size(fixed) {}        // NOLINT: {"batch_size", 3} reads as a shape
  Dim(std::string_view symbol) : name(symbol) {}  // NOLINT
  Dim(const char* symbol) : name(symbol) {}       // NOLINT
  Dim(int fixed) : size(fixed) {}                 // NOLINT
  bool fixed() const { return size >= 0; }
  bool operator==(const Dim&) const = default;
  std::int64_t size = -1;
  std::string name;
};
using Shape = std::vector<Dim>;
std::string to_string(const Shape& shape);  // "[batch_size, 3]"

struct ValueType {
  Type type = Type::kFloat;
  Shape shape;
};

// A handle to one edge of a graph; valid for the graph that made it.
struct Value {
  std::int32_t id = -1;
  Type type = Type::kFloat;
  Shape shape;
};

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

struct Node {
  std::string name;
  std::string op;
  std::string domain;  // "" is the standard operator set
  std::vector<std::int32_t> inputs;
  std::vector<std::int32_t> outputs;
  std::vector<Attribute> attributes;
};

struct Initializer {
  std::int32_t id = -1;
  Type type = Type::kFloat;
  at::Tensor tensor;  // may be a strided view: it becomes contiguous only while it is written
};

class Graph {
 public:
  explicit Graph(std::string name) : name_(std::move(name)) {}

  Value input(const std::string& name, Type type, Shape shape);
  // Makes `value` an output called `name`; `shape` replaces the derived one in the interface.
  void output(const Value& value, const std::string& name, Shape shape);
  // A constant tensor. A second call with the same name returns the first one, so that a table is stored once.
  Value initializer(const std::string& name, const at::Tensor& tensor);
  // Small constants, stored once per content.
  Value constant(const std::vector<std::int64_t>& values);  // int64 [n]
  Value scalar(std::int64_t value);                         // int64 []
  Value scalar(float value);                                // float []

  // Adds a node; the caller knows the types of what comes out. Its name is made of the scope, the operator and a
  // running number, so that it is never empty and says where in the model the node belongs.
  std::vector<Value> node(const std::string& op, const std::vector<Value>& inputs, std::vector<Attribute> attributes,
                          const std::vector<ValueType>& outputs);

  // Prefix for the names of the nodes added next: "/h.0/attn".
  void set_scope(std::string scope) { scope_ = std::move(scope); }

  const std::string& name() const { return name_; }
  const std::string& value_name(std::int32_t id) const { return values_.at(static_cast<std::size_t>(id)); }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Initializer>& initializers() const { return initializers_; }
  const std::vector<Value>& inputs() const { return inputs_; }
  const std::vector<Value>& outputs() const { return outputs_; }

 private:
  std::int32_t new_value(const std::string& name);

  std::string name_;
  std::string scope_;
  std::vector<std::string> values_;  // names by id
  std::map<std::string, Value> named_initializers_;
  std::map<std::string, int> counters_;
  std::vector<Node> nodes_;
  std::vector<Initializer> initializers_;
  std::vector<Value> inputs_;
  std::vector<Value> outputs_;
};

// Writes the graph as a ModelProto and returns its size in bytes. Weights are streamed from their tensors one at a
// time. UnsupportedError above 2 GiB, the limit of a protobuf file; DataError when the disk is full.
std::uint64_t write_model(const Graph& graph, const std::filesystem::path& path);

}  // namespace capstan::onnx
