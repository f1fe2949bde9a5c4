// A captioner small enough for unit tests, with every parameter drawn.
#pragma once
#include <ATen/ATen.h>

#include <memory>

#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/nn/init.h"

namespace capstan::testing {

inline VisionEncoderDecoderConfig tiny_model_config() {
  VisionEncoderDecoderConfig config;
  config.encoder.hidden_size = 16;
  config.encoder.num_hidden_layers = 2;
  config.encoder.num_attention_heads = 2;
  config.encoder.intermediate_size = 24;
  config.encoder.image_size = 16;
  config.encoder.patch_size = 8;
  config.decoder.vocab_size = 40;
  config.decoder.n_positions = 12;
  config.decoder.n_embd = 12;
  config.decoder.n_layer = 2;
  config.decoder.n_head = 3;
  config.decoder_start_token_id = config.bos_token_id = config.eos_token_id = 39;
  config.pad_token_id = 2;
  return config;
}

// Evaluation mode; biases and norms are random too, so that nothing can be dropped unseen.
inline std::shared_ptr<VisionEncoderDecoder> tiny_random_model(
    const VisionEncoderDecoderConfig& config = tiny_model_config(), std::uint64_t seed = 1) {
  auto model = std::make_shared<VisionEncoderDecoder>(config);
  for (const auto& [name, tensor] : model->state()) init_normal(tensor, 0.3, seed, name);
  model->eval();
  return model;
}

inline at::Tensor tiny_pictures(std::int64_t count, std::int64_t height = 16, std::int64_t width = 16) {
  const at::Tensor pictures = at::zeros({count, 3, height, width});
  init_normal(pictures, 1, 5, "pictures");
  return pictures;
}

inline at::Tensor tiny_ids(std::int64_t count, std::int64_t length) {
  return at::arange(count * length).mul(7).remainder(40).view({count, length});
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace capstan::testing
