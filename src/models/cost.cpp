// Operations counted by shape: a product of [m, k] and [k, n] takes 2 m k n.
#include "capstan/models/inspect.h"
#include "capstan/nn/placeholder.h"

namespace capstan {

EncoderCost encoder_cost(const VisionConfig& config) {
  const PlaceholderWeights placeholders;
  VisionConfig outline = config;  // one block knows the number of tokens, too
  outline.num_hidden_layers = 1;
  const std::int64_t tokens = make_vision_encoder(outline)->num_tokens();
  const double s = static_cast<double>(tokens), d = config.hidden_size, inner = config.intermediate_size;
  const double side = config.image_size / config.patch_size;
  const double patch_values = static_cast<double>(config.num_channels) * config.patch_size * config.patch_size;
  const double patches = 2 * side * side * patch_values * d;
  // Query, key, value and output; scores and their sums of values; two layers of the feed-forward part.
  const double block = 8 * s * d * d + 4 * s * s * d + 4 * s * d * inner;
  return {.tokens = tokens, .flops = patches + config.num_hidden_layers * block};
}

DecoderCost decoder_cost(const Gpt2Config& config, std::int64_t image_tokens) {
  const double d = config.n_embd, layers = config.n_layer, s = static_cast<double>(image_tokens);
  const double inner = config.n_inner > 0 ? config.n_inner : 4 * d;
  const bool crosses = config.add_cross_attention && image_tokens > 0;
  DecoderCost cost;
  cost.token_flops = layers * (8 * d * d + 4 * d * inner);
  cost.flops_per_position = layers * 4 * d;
  cost.head_flops = 2 * d * config.vocab_size;
  cost.cache_values = layers * 2 * config.n_positions * d;
  if (crosses) {
    cost.token_flops += layers * (4 * d * d + 4 * s * d);  // query and output; scores and their sums
    cost.cross_flops = layers * 4 * s * d * d;
    cost.cross_cache_values = layers * 2 * s * d;
  }
  return cost;
}

double projection_flops(const VisionConfig& encoder, const Gpt2Config& decoder) {
  if (encoder.hidden_size == decoder.n_embd) return 0;
  return 2.0 * static_cast<double>(encoder_cost(encoder).tokens) * encoder.hidden_size * decoder.n_embd;
}

}  // namespace capstan
