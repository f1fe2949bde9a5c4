// ModelProto on disk. Protobuf puts a length before every message, so the lengths are added up first and the
// weights then go from their tensors to the file without a second copy of the model in memory.
#include <fmt/format.h>

#include <fstream>
#include <limits>
#include <protozero/pbf_writer.hpp>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/core/version.h"
#include "capstan/export/onnx_graph.h"

namespace capstan::onnx {
namespace {

using protozero::pbf_writer;

// Field numbers of onnx.proto.
namespace model {
enum { kIrVersion = 1, kProducerName = 2, kProducerVersion = 3, kGraph = 7, kOpsetImport = 8 };
}
namespace opset {
enum { kDomain = 1, kVersion = 2 };
}
namespace graph {
enum { kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12 };
}
namespace node {
enum { kInput = 1, kOutput = 2, kName = 3, kOpType = 4, kAttribute = 5, kDomain = 7 };
}
namespace attribute {
enum { kName = 1, kFloat = 2, kInt = 3, kString = 4, kInts = 8, kType = 20 };
}
namespace tensor {
enum { kDims = 1, kDataType = 2, kName = 8, kRawData = 9 };
}
namespace value_info {
enum { kName = 1, kType = 2 };
}
namespace type {
enum { kTensorType = 1 };
}
namespace tensor_type {
enum { kElemType = 1, kShape = 2 };
}
namespace shape {
enum { kDim = 1 };
}
namespace dim {
enum { kValue = 1, kParam = 2 };
}

// AttributeProto.AttributeType.
enum class AttributeType { kFloat = 1, kInt = 2, kString = 3, kInts = 7 };

void add_attribute(pbf_writer& parent, const Attribute& source) {
  pbf_writer out(parent, node::kAttribute);
  out.add_string(attribute::kName, source.name);
  AttributeType kind{};
  if (const auto* number = std::get_if<std::int64_t>(&source.value)) {
    out.add_int64(attribute::kInt, *number);
    kind = AttributeType::kInt;
  } else if (const auto* real = std::get_if<float>(&source.value)) {
    out.add_float(attribute::kFloat, *real);
    kind = AttributeType::kFloat;
  } else if (const auto* text = std::get_if<std::string>(&source.value)) {
    out.add_bytes(attribute::kString, *text);
    kind = AttributeType::kString;
  } else {
    for (const auto item : std::get<std::vector<std::int64_t>>(source.value)) out.add_int64(attribute::kInts, item);
    kind = AttributeType::kInts;
  }
  out.add_enum(attribute::kType, static_cast<int>(kind));
}

std::string encode_node(const Graph& source, const Node& from) {
  std::string bytes;
  pbf_writer out(bytes);
  for (const auto id : from.inputs) out.add_string(node::kInput, source.value_name(id));
  for (const auto id : from.outputs) out.add_string(node::kOutput, source.value_name(id));
  out.add_string(node::kName, from.name);
  out.add_string(node::kOpType, from.op);
  for (const Attribute& item : from.attributes) add_attribute(out, item);
  if (!from.domain.empty()) out.add_string(node::kDomain, from.domain);
  return bytes;
}

std::string encode_value_info(const Graph& source, const Value& value) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_string(value_info::kName, source.value_name(value.id));
  pbf_writer type_writer(out, value_info::kType);
  pbf_writer tensor_writer(type_writer, type::kTensorType);
  tensor_writer.add_int32(tensor_type::kElemType, static_cast<int>(value.type));
  pbf_writer shape_writer(tensor_writer, tensor_type::kShape);
  for (const Dim& size : value.shape) {
    pbf_writer dim_writer(shape_writer, shape::kDim);
    if (size.fixed())
      dim_writer.add_int64(dim::kValue, size.size);
    else if (!size.name.empty())
      dim_writer.add_string(dim::kParam, size.name);
  }
  return bytes;
}

// Everything of a TensorProto that stands before the numbers.
std::string encode_tensor_header(const Graph& source, const Initializer& from) {
  std::string bytes;
  pbf_writer out(bytes);
  for (const auto size : from.tensor.sizes()) out.add_int64(tensor::kDims, size);
  out.add_int32(tensor::kDataType, static_cast<int>(from.type));
  out.add_string(tensor::kName, source.value_name(from.id));
  return bytes;
}

// The key and length that stand before a length-delimited field of `size` bytes.
std::string field_prefix(int field, std::uint64_t size) {
  std::string bytes;
  constexpr int kLengthDelimited = 2;
  protozero::add_varint_to_buffer(&bytes, static_cast<std::uint64_t>(field) << 3 | kLengthDelimited);
  protozero::add_varint_to_buffer(&bytes, size);
  return bytes;
}

// A piece of the file: bytes, then (for weights) the numbers of a tensor.
struct Piece {
  std::string bytes;
  const at::Tensor* tensor = nullptr;
  std::uint64_t size() const { return bytes.size() + (tensor != nullptr ? tensor->nbytes() : 0); }
};

std::vector<Piece> encode_graph(const Graph& source) {
  std::vector<Piece> pieces;
  std::string head;
  pbf_writer out(head);
  for (const Node& item : source.nodes()) out.add_message(graph::kNode, encode_node(source, item));
  out.add_string(graph::kName, source.name());
  for (const Value& value : source.inputs()) out.add_message(graph::kInput, encode_value_info(source, value));
  for (const Value& value : source.outputs()) out.add_message(graph::kOutput, encode_value_info(source, value));
  pieces.push_back({std::move(head)});
  for (const Initializer& item : source.initializers()) {
    const std::string header = encode_tensor_header(source, item);
    const std::string raw = field_prefix(tensor::kRawData, item.tensor.nbytes());
    pieces.push_back(
        {field_prefix(graph::kInitializer, header.size() + raw.size() + item.tensor.nbytes()) + header + raw,
         &item.tensor});
  }
  return pieces;
}

std::string encode_model_head(std::uint64_t graph_size) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_int64(model::kIrVersion, kIrVersion);
  out.add_string(model::kProducerName, "capstan");
  out.add_string(model::kProducerVersion, version());
  {
    pbf_writer import(out, model::kOpsetImport);
    import.add_string(opset::kDomain, "");
    import.add_int64(opset::kVersion, kOpset);
  }
  return bytes + field_prefix(model::kGraph, graph_size);
}

}  // namespace

std::uint64_t write_model(const Graph& source, const std::filesystem::path& path) {
  const std::vector<Piece> pieces = encode_graph(source);
  std::uint64_t graph_size = 0;
  for (const Piece& piece : pieces) graph_size += piece.size();
  const std::string head = encode_model_head(graph_size);
  const std::uint64_t total = head.size() + graph_size;
  if (total > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
    throw UnsupportedError(
        fmt::format("{}: the graph would take {}, and one ONNX file holds at most 2 GiB; export a "
                    "smaller model",
                    path.string(), human_bytes(total)));

  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(head.data(), static_cast<std::streamsize>(head.size()));
  for (const Piece& piece : pieces) {
    file.write(piece.bytes.data(), static_cast<std::streamsize>(piece.bytes.size()));
    if (piece.tensor == nullptr) continue;
    const at::Tensor numbers = piece.tensor->cpu().contiguous();
    file.write(static_cast<const char*>(numbers.const_data_ptr()), static_cast<std::streamsize>(numbers.nbytes()));
  }
  file.close();
  if (!file)
    throw DataError(
        fmt::format("{}: cannot be written ({} needed); free some space", path.string(), human_bytes(total)));
  return total;
}

}  // namespace capstan::onnx
