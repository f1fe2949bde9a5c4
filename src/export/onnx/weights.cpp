// Parameters become initializers that are views of the model's tensors: nothing is copied before it is written.
#include "export/onnx/weights.h"

#include <numbers>

#include "capstan/core/error.h"
#include "export/onnx/ops.h"

namespace capstan::onnx {

Weights::Weights(Graph& graph, const TensorMap& state, std::string prefix)
    : graph_(graph), state_(state), prefix_(std::move(prefix)) {}

bool Weights::has(const std::string& name) const { return state_.contains(prefix_ + name); }

const at::Tensor& Weights::tensor(const std::string& name) const {
  const auto found = state_.find(prefix_ + name);
  if (found == state_.end()) throw CheckpointError("ONNX export: the model has no parameter '" + prefix_ + name + "'");
  return found->second;
}

Value Weights::parameter(const std::string& name) { return graph_.initializer(prefix_ + name, tensor(name)); }

Value Weights::matmul(const Value& x, const std::string& name, const at::Tensor& weight) {
  return onnx::matmul(graph_, x, graph_.initializer(prefix_ + name, weight));
}

Value Weights::biased(const Value& x, const std::string& layer) {
  return has(layer + ".bias") ? add(graph_, x, parameter(layer + ".bias")) : x;
}

Value Weights::linear(const Value& x, const std::string& layer) {
  return biased(matmul(x, layer + ".weight", tensor(layer + ".weight").t()), layer);
}

Value Weights::conv1d(const Value& x, const std::string& layer) {
  return biased(matmul(x, layer + ".weight", tensor(layer + ".weight")), layer);
}

Value Weights::layer_norm(const Value& x, const std::string& layer, double epsilon) {
  return onnx::layer_norm(graph_, x, parameter(layer + ".weight"), parameter(layer + ".bias"), epsilon);
}

Value Weights::embed_tied(const Value& ids, const std::string& table) {
  const Value columns = graph_.initializer(prefix_ + table, tensor(table).t());
  return transpose(graph_, gather(graph_, columns, ids, 1), {1, 2, 0});
}

Value Weights::project_tied(const Value& hidden, const std::string& table) {
  return matmul(hidden, table, tensor(table).t());
}

Value activation(Graph& graph, const std::string& name, const Value& x) {
  if (name == "relu") return unary(graph, "Relu", x);
  if (name == "silu") return mul(graph, x, unary(graph, "Sigmoid", x));
  if (name == "gelu") {
    const Value root_two = graph.scalar(std::numbers::sqrt2_v<float>);
    const Value gate = add(graph, unary(graph, "Erf", div(graph, x, root_two)), graph.scalar(1.0f));
    return mul(graph, mul(graph, x, gate), graph.scalar(0.5f));
  }
  if (name == "tanh") return unary(graph, "Tanh", x);
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") {
    // sqrt(2 / pi) (x + 0.044715 x^3), in the order that onnxruntime recognises and fuses.
    const Value cubic = mul(graph, pow(graph, x, graph.scalar(3.0f)), graph.scalar(0.044715f));
    const Value inner = mul(graph, add(graph, x, cubic), graph.scalar(0.7978845608028654f));
    const Value gate = add(graph, unary(graph, "Tanh", inner), graph.scalar(1.0f));
    return mul(graph, mul(graph, x, graph.scalar(0.5f)), gate);
  }
  throw UnsupportedError("ONNX export: activation '" + name +
                         "' is not known; known: gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh");
}

}  // namespace capstan::onnx
