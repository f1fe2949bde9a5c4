// One step of the decoder for many texts at once: the inner loop of every way to draw captions.
//
//   engine->add(encoder_hidden_BSD, copies);          // B pictures, `copies` texts for each, all empty
//   const at::Tensor& logits = engine->step(tokens);  // one new token for every text -> logits [rows, V]
//   engine->select(rows);                             // beams change places, finished texts leave
//
// Rows may be of different lengths, so pictures join and leave while others are under way.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

struct EngineOptions {
  std::int64_t max_rows = 64;     // most texts at a time
  std::int64_t max_tokens = 64;   // longest text, start token included; at most n_positions
  std::string dtype = "float32";  // weights: float32, bfloat16 or int8 (per output row, weights only)
};

// Not for several threads. All memory is taken by the constructor and by add(); step() and select() take none.
class DecodeEngine {
 public:
  virtual ~DecodeEngine() = default;
  // Appends B * copies empty rows, those of one picture beside each other. Keys and values of a picture are computed
  // once and shared by its rows. The caller keeps within max_rows.
  virtual void add(const at::Tensor& encoder_hidden_BSD, std::int64_t copies) = 0;
  // Feeds one token to each row; tokens.size() == rows(). Returns float32 logits [rows, V] on the CPU or the model's
  // device, overwritten by the next call.
  virtual const at::Tensor& step(std::span<const std::int64_t> tokens) = 0;
  // Afterwards row i goes on from what row rows[i] was. Rows may be repeated (of the same picture) or left out.
  virtual void select(std::span<const std::int64_t> rows) = 0;
  virtual std::int64_t rows() const = 0;
};

// The fastest engine for the model's device and options.dtype. The model must outlive it and keep its weights.
// UnsupportedError for a dtype that the device or the model's options do not allow.
//   On a CPU, weights are packed once, in a copy of their own of options.dtype (the model may be of any type).
//   Elsewhere the model's own weights and type are used and options.dtype only checked.
// The environment variable CAPSTAN_CPU ("avx512", "avx2", "plain") switches faster instruction sets off.
std::unique_ptr<DecodeEngine> make_engine(VisionEncoderDecoder& model, const EngineOptions& options);
// A decoder on its own; add() then takes [B, 0, D] where the decoder has no cross-attention.
std::unique_ptr<DecodeEngine> make_engine(Gpt2& decoder, const EngineOptions& options);

}  // namespace capstan
