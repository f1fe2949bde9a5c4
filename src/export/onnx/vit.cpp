// ViT (Dosovitskiy et al., 2021) with the numerics of transformers' ViTModel, without its pooler.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "export/onnx/models.h"
#include "export/onnx/ops.h"
#include "export/onnx/weights.h"

namespace capstan::onnx {
namespace {

// Non-overlapping patches are a reshape, so the convolution becomes one matrix product: as exact, and int8 kernels
// for it exist everywhere.
Value embed_patches(Weights& weights, const VisionConfig& config, const Value& pixel_values) {
  Graph& graph = weights.graph();
  const std::int64_t channels = config.num_channels, patch = config.patch_size, grid = config.image_size / patch;
  const Value cells = reshape(graph, pixel_values, {0, channels, grid, patch, grid, patch});
  const Value ordered = transpose(graph, cells, {0, 2, 4, 1, 3, 5});
  const Value patches = reshape(graph, ordered, {0, grid * grid, channels * patch * patch});
  const std::string layer = "embeddings.patch_embeddings.projection";
  const Value projected = weights.matmul(patches, layer + ".weight", weights.tensor(layer + ".weight").flatten(1).t());
  return add(graph, projected, weights.parameter(layer + ".bias"));
}

// The class token in front, positions added.
Value embed(Weights& weights, const VisionConfig& config, const Value& pixel_values) {
  Graph& graph = weights.graph();
  const Value patches = embed_patches(weights, config, pixel_values);
  const std::int64_t width = config.hidden_size;
  const Value sizes = concat(graph, {shape_dim(graph, pixel_values, 0), graph.constant({1, width})}, 0);
  const Value cls = expand(graph, weights.parameter("embeddings.cls_token"), sizes, {pixel_values.shape[0], 1, width});
  return add(graph, concat(graph, {cls, patches}, 1), weights.parameter("embeddings.position_embeddings"));
}

// [B, S, D] -> [B, N, S, K], or [B, N, K, S] for keys.
Value split_heads(Graph& graph, const Value& x, std::int64_t num_heads, bool keys) {
  const Value heads = reshape(graph, x, {0, 0, num_heads, x.shape.back().size / num_heads});
  return transpose(graph, heads, keys ? std::vector<std::int64_t>{0, 2, 3, 1} : std::vector<std::int64_t>{0, 2, 1, 3});
}

Value attend(Weights& weights, const VisionConfig& config, const Value& x, const std::string& layer) {
  Graph& graph = weights.graph();
  const std::int64_t num_heads = config.num_attention_heads;
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.hidden_size / num_heads)));
  const Value query = split_heads(graph, weights.linear(x, layer + ".attention.query"), num_heads, false);
  const Value key = split_heads(graph, weights.linear(x, layer + ".attention.key"), num_heads, true);
  const Value value = split_heads(graph, weights.linear(x, layer + ".attention.value"), num_heads, false);
  const Value scores = mul(graph, matmul(graph, query, key), graph.scalar(scale));
  const Value mixed = transpose(graph, matmul(graph, softmax(graph, scores), value), {0, 2, 1, 3});
  return weights.linear(reshape(graph, mixed, {0, 0, config.hidden_size}), layer + ".output.dense");
}

Value block(Weights& weights, const VisionConfig& config, const Value& x, int index) {
  Graph& graph = weights.graph();
  const std::string layer = fmt::format("encoder.layer.{}", index);
  graph.set_scope("/" + layer + "/attention");
  const Value normed = weights.layer_norm(x, layer + ".layernorm_before", config.layer_norm_eps);
  const Value attended = add(graph, attend(weights, config, normed, layer + ".attention"), x);
  graph.set_scope("/" + layer + "/mlp");
  const Value inner = weights.layer_norm(attended, layer + ".layernorm_after", config.layer_norm_eps);
  const Value wide = activation(graph, config.hidden_act, weights.linear(inner, layer + ".intermediate.dense"));
  return add(graph, weights.linear(wide, layer + ".output.dense"), attended);
}

}  // namespace

Graph vit_encoder(const VisionConfig& config, const TensorMap& state) {
  Graph graph("encoder_model");
  Weights weights(graph, state, "encoder.");
  const Value pixel_values = graph.input("pixel_values", Type::kFloat,
                                         {"batch_size", config.num_channels, config.image_size, config.image_size});
  graph.set_scope("/embeddings");
  Value x = embed(weights, config, pixel_values);
  for (int i = 0; i < config.num_hidden_layers; ++i) x = block(weights, config, x, i);
  graph.set_scope("/layernorm");
  x = weights.layer_norm(x, "layernorm", config.layer_norm_eps);
  Weights top(graph, state, "");
  if (top.has("enc_to_dec_proj.weight")) {
    graph.set_scope("/enc_to_dec_proj");
    x = top.linear(x, "enc_to_dec_proj");
  }
  graph.output(x, "last_hidden_state", x.shape);
  return graph;
}

}  // namespace capstan::onnx
