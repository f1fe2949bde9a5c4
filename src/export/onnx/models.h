// One emitter per model family: a configuration and parameters in, a graph with the names of the export contract out.
//
// The graphs keep views of `state`, which must live until they are written.
#pragma once
#include "capstan/checkpoint/safetensors.h"
#include "capstan/export/onnx_graph.h"
#include "capstan/models/gpt2.h"
#include "capstan/models/vision.h"

namespace capstan::onnx {

// encoder_model.onnx: pixel_values [batch_size, C, H, W] -> last_hidden_state [batch_size, S, D]. Parameters start with
// "encoder."; where `state` has "enc_to_dec_proj", D is the decoder's width.
Graph vit_encoder(const VisionConfig& config, const TensorMap& state);

// How the decoder looks at the picture.
enum class CrossAttention {
  kPlain,  // keys and values of every image token at every step
  kAbsorb  // the projections are moved to the query's side and behind the attention: the same result for less work
};

// decoder_model_merged.onnx: one graph with and without past, chosen by `use_cache_branch`. Parameters start with
// "decoder.".
Graph gpt2_decoder(const Gpt2Config& config, const TensorMap& state, CrossAttention cross_attention);

}  // namespace capstan::onnx
