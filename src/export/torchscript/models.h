// The models as TorchScript, compiled from source here, without Python. One function per model family adds the methods
// to a tree of parameters (tree.h).
#pragma once
#include <torch/csrc/jit/api/module.h>

#include "capstan/generate/options.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan::torchscript {

// On the module `encoder`: forward(pixel_values [B, C, H, W]) -> [B, S, D].
void define_vit(const torch::jit::Module& root, const VisionConfig& config, bool has_qkv_bias);

// On the module `decoder`:
//   look(encoder_hidden [B, S, D]) -> keys and values of the picture, two tensors [B, N, S, K] per layer
//   start(encoder_hidden) -> an empty past, two tensors [B, N, 0, K] per layer
//   step(input_ids [B, T], past, picture) -> hidden states [B, T, D], new past; T > 1 only with an empty past
//   head(hidden [..., D]) -> logits [..., V]
void define_gpt2(const torch::jit::Module& root, const Gpt2Config& config);

// The whole captioner:
//   encode(pixel_values [B, C, H, W]) -> [B, S, D]
//   decode(input_ids [B, T], encoder_hidden_states [B, S, D]) -> logits [B, T, V]
//   generate(pixel_values, max_new_tokens) -> ids [B, 1 + T] with the start token, padded after the end token
torch::jit::Module build_captioner(const VisionEncoderDecoder& model, const GenerationConfig& generation);

}  // namespace capstan::torchscript
