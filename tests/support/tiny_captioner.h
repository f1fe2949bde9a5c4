// A captioner with random weights and a byte-level tokenizer, small enough for unit tests of generation and export.
#pragma once
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <filesystem>
#include <memory>
#include <string>

#include "capstan/core/files.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/pretrained.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/train.h"

namespace capstan::testing {

// Encoder and decoder differ in width, so that the projection between them is there too.
inline VisionEncoderDecoderConfig tiny_config() {
  VisionEncoderDecoderConfig config;
  config.encoder.hidden_size = 24;
  config.encoder.num_hidden_layers = 2;
  config.encoder.num_attention_heads = 3;
  config.encoder.intermediate_size = 40;
  config.encoder.image_size = 16;
  config.encoder.patch_size = 4;
  config.decoder.vocab_size = 258;  // the 256 bytes, the end token and one merge
  config.decoder.n_positions = 24;
  config.decoder.n_embd = 32;
  config.decoder.n_layer = 2;
  config.decoder.n_head = 4;
  config.decoder_start_token_id = config.bos_token_id = config.eos_token_id = config.pad_token_id = 0;
  return config;
}

// Every parameter is drawn, biases and norms included: zeros would hide what a program forgets to add. The weights are
// wide enough that captions differ between pictures.
inline std::shared_ptr<VisionEncoderDecoder> tiny_model(const VisionEncoderDecoderConfig& config,
                                                        std::uint64_t seed = 1) {
  auto model = std::make_shared<VisionEncoderDecoder>(config);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  TensorMap tensors;
  for (const auto& [name, tensor] : model->state()) {
    const at::Tensor noise = at::randn(tensor.sizes(), generator, tensor.options());
    tensors[name] = tensor.dim() == 1 && name.ends_with("weight") ? 1 + 0.2 * noise : 0.3 * noise;
  }
  model->load_state(tensors);
  model->eval();
  return model;
}

inline at::Tensor tiny_pictures(const VisionEncoderDecoderConfig& config, std::int64_t count, std::uint64_t seed = 7) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn({count, config.encoder.num_channels, config.encoder.image_size, config.encoder.image_size},
                   generator, at::kFloat);
}

inline Image tiny_image(int size, int shade) {
  Image image{.height = size, .width = size, .rgb = {}};
  for (int i = 0; i < size * size * 3; ++i) image.rgb.push_back(static_cast<std::uint8_t>((i * shade) % 256));
  return image;
}

// A complete model folder.
inline void write_tiny_folder(const std::filesystem::path& directory, const VisionEncoderDecoderConfig& config,
                              int max_new_tokens = 12) {
  std::filesystem::create_directories(directory);
  const auto tokenizer = train_byte_bpe({"a red circle", "a green square"}, {.vocab_size = 260}, directory);
  save_pretrained(*tiny_model(config), directory);
  ImageProcessorConfig processor;
  processor.size = config.encoder.image_size;
  ImageProcessor(processor).save_pretrained(directory);
  save_generation_config({.max_new_tokens = max_new_tokens,
                          .decoder_start_token_id = config.decoder_start_token_id,
                          .eos_token_id = config.eos_token_id,
                          .pad_token_id = config.pad_token_id,
                          .bos_token_id = config.bos_token_id},
                         directory);
}

}  // namespace capstan::testing
