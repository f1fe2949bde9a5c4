// The ONNX writer, read back field by field with a reader of its own.
#include "capstan/export/onnx_graph.h"

#include <cstring>
#include <map>
#include <protozero/pbf_reader.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/test_pch.h"

using namespace capstan;
using protozero::pbf_reader;

namespace {

struct ReadNode {
  std::string name, op;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::vector<std::int64_t>> ints;
  std::map<std::string, float> floats;
};

struct ReadTensor {
  std::vector<std::int64_t> dims;
  int type = 0;
  std::string raw;
};

struct ReadModel {
  std::int64_t ir_version = 0, opset = 0;
  std::string producer, graph_name;
  std::vector<ReadNode> nodes;
  std::map<std::string, ReadTensor> initializers;
  std::map<std::string, std::string> interface;  // name -> "type[dims]" of inputs and outputs
};

ReadNode read_node(pbf_reader message) {
  ReadNode node;
  while (message.next()) switch (message.tag()) {
      case 1:
        node.inputs.push_back(message.get_string());
        break;
      case 2:
        node.outputs.push_back(message.get_string());
        break;
      case 3:
        node.name = message.get_string();
        break;
      case 4:
        node.op = message.get_string();
        break;
      case 5: {
        pbf_reader attribute = message.get_message();
        std::string name;
        while (attribute.next()) switch (attribute.tag()) {
            case 1:
              name = attribute.get_string();
              break;
            case 2:
              node.floats[name] = attribute.get_float();
              break;
            case 3:
            case 8:
              node.ints[name].push_back(attribute.get_int64());
              break;
            default:
              attribute.skip();
          }
        break;
      }
      default:
        message.skip();
    }
  return node;
}

std::pair<std::string, ReadTensor> read_tensor(pbf_reader message) {
  ReadTensor tensor;
  std::string name;
  while (message.next()) switch (message.tag()) {
      case 1:
        tensor.dims.push_back(message.get_int64());
        break;
      case 2:
        tensor.type = message.get_int32();
        break;
      case 8:
        name = message.get_string();
        break;
      case 9:
        tensor.raw = message.get_bytes();
        break;
      default:
        message.skip();
    }
  return {name, tensor};
}

std::pair<std::string, std::string> read_value_info(pbf_reader message) {
  std::string name, text;
  while (message.next()) {
    if (message.tag() == 1) {
      name = message.get_string();
      continue;
    }
    pbf_reader type = message.get_message();
    type.next(1);
    pbf_reader tensor = type.get_message();
    while (tensor.next()) {
      if (tensor.tag() == 1) {
        text += std::to_string(tensor.get_int32()) + "[";
        continue;
      }
      pbf_reader shape = tensor.get_message();
      while (shape.next(1)) {
        pbf_reader dim = shape.get_message();
        while (dim.next()) text += (dim.tag() == 1 ? std::to_string(dim.get_int64()) : dim.get_string()) + ";";
      }
    }
  }
  return {name, text + "]"};
}

ReadModel read_model(const std::string& bytes) {
  ReadModel model;
  pbf_reader message(bytes);
  while (message.next()) switch (message.tag()) {
      case 1:
        model.ir_version = message.get_int64();
        break;
      case 2:
        model.producer = message.get_string();
        break;
      case 7: {
        pbf_reader graph = message.get_message();
        while (graph.next()) switch (graph.tag()) {
            case 1:
              model.nodes.push_back(read_node(graph.get_message()));
              break;
            case 2:
              model.graph_name = graph.get_string();
              break;
            case 5:
              model.initializers.insert(read_tensor(graph.get_message()));
              break;
            case 11:
            case 12:
              model.interface.insert(read_value_info(graph.get_message()));
              break;
            default:
              graph.skip();
          }
        break;
      }
      case 8: {
        pbf_reader import = message.get_message();
        while (import.next()) import.tag() == 2 ? void(model.opset = import.get_int64()) : import.skip();
        break;
      }
      default:
        message.skip();
    }
  return model;
}

ReadModel write_and_read(const onnx::Graph& graph) {
  const TempDir folder;
  const auto size = onnx::write_model(graph, folder.path() / "graph.onnx");
  const std::string bytes = read_file(folder.path() / "graph.onnx");
  REQUIRE(bytes.size() == size);
  return read_model(bytes);
}

}  // namespace

TEST_CASE("a graph is written with its versions, nodes, weights and interface", "[export][onnx_graph][unit]") {
  onnx::Graph graph("tiny");
  const auto x = graph.input("x", onnx::Type::kFloat, {"batch_size", 3});
  const at::Tensor weight = at::arange(6, at::kFloat).reshape({2, 3});
  graph.set_scope("/layer");
  const auto w = graph.initializer("w", weight.t());
  const auto y = graph.node("MatMul", {x, w}, {}, {{onnx::Type::kFloat, {"batch_size", 2}}})[0];
  const auto z = graph.node("Softmax", {y}, {{"axis", std::int64_t{-1}}}, {{y.type, y.shape}})[0];
  const auto t = graph.node("Transpose", {z}, {{"perm", std::vector<std::int64_t>{1, 0}}, {"alpha", 0.5f}},
                            {{z.type, {2, "batch_size"}}})[0];
  graph.output(t, "out", {2, "batch_size"});

  const ReadModel model = write_and_read(graph);
  REQUIRE(model.ir_version == 8);
  REQUIRE(model.opset == 17);
  REQUIRE(model.producer == "capstan");
  REQUIRE(model.graph_name == "tiny");
  REQUIRE(model.interface.at("x") == "1[batch_size;3;]");
  REQUIRE(model.interface.at("out") == "1[2;batch_size;]");
  REQUIRE(model.nodes.size() == 3);
  REQUIRE(model.nodes[0].name == "/layer/MatMul");
  REQUIRE(model.nodes[0].inputs == std::vector<std::string>{"x", "w"});
  REQUIRE(model.nodes[1].inputs == model.nodes[0].outputs);
  REQUIRE(model.nodes[1].ints.at("axis") == std::vector<std::int64_t>{-1});
  REQUIRE(model.nodes[2].ints.at("perm") == std::vector<std::int64_t>{1, 0});
  REQUIRE(model.nodes[2].floats.at("alpha") == 0.5f);
  REQUIRE(model.nodes[2].outputs == std::vector<std::string>{"out"});

  const ReadTensor& stored = model.initializers.at("w");
  REQUIRE(stored.type == 1);
  REQUIRE(stored.dims == std::vector<std::int64_t>{3, 2});
  const std::vector<float> expected{0, 3, 1, 4, 2, 5};  // the transposed view, row by row
  REQUIRE(stored.raw.size() == expected.size() * sizeof(float));
  REQUIRE(std::memcmp(stored.raw.data(), expected.data(), stored.raw.size()) == 0);
}

TEST_CASE("weights and constants are stored once", "[export][onnx_graph][unit]") {
  onnx::Graph graph("tiny");
  const at::Tensor weight = at::ones({2, 2});
  REQUIRE(graph.initializer("w", weight).id == graph.initializer("w", weight).id);
  REQUIRE(graph.constant({1, 2}).id == graph.constant({1, 2}).id);
  REQUIRE(graph.constant({1, 2}).id != graph.constant({12}).id);
  REQUIRE(graph.scalar(1.0f).id != graph.scalar(std::int64_t{1}).id);
  const ReadModel model = write_and_read(graph);
  REQUIRE(model.initializers.size() == 5);
}

TEST_CASE("nodes of one kind have different names", "[export][onnx_graph][unit]") {
  onnx::Graph graph("tiny");
  auto x = graph.input("x", onnx::Type::kFloat, {2});
  for (int i = 0; i < 3; ++i) x = graph.node("Relu", {x}, {}, {{x.type, x.shape}})[0];
  const ReadModel model = write_and_read(graph);
  REQUIRE(model.nodes[0].name == "/Relu");
  REQUIRE(model.nodes[1].name == "/Relu_1");
  REQUIRE(model.nodes[2].name == "/Relu_2");
}

TEST_CASE("weights of a type that ONNX export does not know are refused", "[export][onnx_graph][unit]") {
  onnx::Graph graph("tiny");
  REQUIRE_THROWS_AS(graph.initializer("w", at::ones({2}, at::kBFloat16)), UnsupportedError);
}

TEST_CASE("a graph above 2 GiB is refused before anything is written", "[export][onnx_graph][unit]") {
  const TempDir folder;
  onnx::Graph graph("huge");
  // An expanded view: 3 GiB to a reader, 4 bytes of memory.
  graph.initializer("w", at::zeros({1}).expand({768 * 1024 * 1024}));
  REQUIRE_THROWS_WITH(onnx::write_model(graph, folder.path() / "huge.onnx"), ContainsSubstring("at most 2 GiB"));
  REQUIRE_FALSE(std::filesystem::exists(folder.path() / "huge.onnx"));
}

TEST_CASE("a path that cannot be written is named", "[export][onnx_graph][unit]") {
  const TempDir folder;
  REQUIRE_THROWS_WITH(onnx::write_model(onnx::Graph("tiny"), folder.path() / "none" / "g.onnx"),
                      ContainsSubstring("g.onnx: cannot be written"));
}
