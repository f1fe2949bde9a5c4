// Values, nodes and initializers of an ONNX graph, each name used once.
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "capstan/core/error.h"
#include "capstan/export/onnx_graph.h"

namespace capstan::onnx {
namespace {

Type type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Type::kFloat;
    case at::kHalf:
      return Type::kFloat16;
    case at::kLong:
      return Type::kInt64;
    case at::kInt:
      return Type::kInt32;
    case at::kChar:
      return Type::kInt8;
    case at::kByte:
      return Type::kUInt8;
    case at::kBool:
      return Type::kBool;
    default:
      throw UnsupportedError(
          fmt::format("ONNX export: weights of type {} are not supported; load the model as "
                      "float32",
                      c10::toString(tensor.scalar_type())));
  }
}

Shape shape_of(const at::Tensor& tensor) {
  Shape shape;
  for (const auto size : tensor.sizes()) shape.emplace_back(size);
  return shape;
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text;
  for (const Dim& dim : shape) {
    if (!text.empty()) text += ", ";
    text += dim.fixed() ? std::to_string(dim.size) : dim.name.empty() ? "?" : dim.name;
  }
  return "[" + text + "]";
}

std::int32_t Graph::new_value(const std::string& name) {
  values_.push_back(name);
  return static_cast<std::int32_t>(values_.size() - 1);
}

Value Graph::input(const std::string& name, Type type, Shape shape) {
  inputs_.push_back({new_value(name), type, std::move(shape)});
  return inputs_.back();
}

void Graph::output(const Value& value, const std::string& name, Shape shape) {
  CAPSTAN_ASSERT(shape.size() == value.shape.size());
  values_.at(static_cast<std::size_t>(value.id)) = name;
  outputs_.push_back({value.id, value.type, std::move(shape)});
}

Value Graph::initializer(const std::string& name, const at::Tensor& tensor) {
  const auto found = named_initializers_.find(name);
  if (found != named_initializers_.end()) return found->second;
  const Value value{new_value(name), type_of(tensor), shape_of(tensor)};
  initializers_.push_back({value.id, value.type, tensor});
  named_initializers_.emplace(name, value);
  return value;
}

Value Graph::constant(const std::vector<std::int64_t>& values) {
  return initializer(fmt::format("int64[{}]", fmt::join(values, ",")), at::tensor(values, at::kLong));
}

Value Graph::scalar(std::int64_t value) {
  return initializer(fmt::format("int64({})", value), at::tensor(value, at::kLong));
}

Value Graph::scalar(float value) { return initializer(fmt::format("float({})", value), at::tensor(value, at::kFloat)); }

std::vector<Value> Graph::node(const std::string& op, const std::vector<Value>& inputs,
                               std::vector<Attribute> attributes, const std::vector<ValueType>& outputs) {
  const std::string stem = scope_ + "/" + op;
  const int number = counters_[stem]++;
  Node node{.name = number == 0 ? stem : fmt::format("{}_{}", stem, number), .op = op};
  node.attributes = std::move(attributes);
  for (const Value& value : inputs) {
    CAPSTAN_ASSERT(value.id >= 0 && value.id < static_cast<std::int32_t>(values_.size()));
    node.inputs.push_back(value.id);
  }
  std::vector<Value> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    results.push_back({new_value(fmt::format("{}_output_{}", node.name, i)), outputs[i].type, outputs[i].shape});
    node.outputs.push_back(results.back().id);
  }
  nodes_.push_back(std::move(node));
  return results;
}

}  // namespace capstan::onnx
