// What ModuleEngine computes in a step, and the memory it does so in. Addresses stay the same and sizes are a
// StepShape, so that a step can be recorded once and replayed.
#pragma once
#include <ATen/core/Tensor.h>

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "capstan/generate/engine.h"
#include "capstan/models/gpt2.h"
#include "capstan/nn/activation.h"

namespace capstan {

// Legend: R rows, P pictures, C most rows of a picture, N heads, K head size, T tokens, S image tokens, D width, V ids.
struct StepShape {
  std::int64_t rows = 0;          // R
  std::int64_t tokens = 0;        // T: keys that are looked at
  std::int64_t pictures = 0;      // P
  std::int64_t beams = 0;         // C
  std::int64_t image_tokens = 0;  // S
  bool uneven = false;            // some picture has fewer image tokens
  auto operator<=>(const StepShape&) const = default;
};

// What differs from step to step. Rows are in the order of their slots.
struct StepInputs {
  std::vector<std::int64_t> ids;           // [R]
  std::vector<std::int64_t> positions;     // [R]
  std::vector<std::int64_t> place_of_row;  // [R] in the grid [P, C], where rows of one picture stand together
  std::vector<std::int64_t> row_of_place;  // [P * C]
  std::vector<std::int64_t> num_keys;      // [P] image tokens of each picture
  std::vector<std::int64_t> slot_of_text;  // [R] the row of each logits row that is given out
};

class ModuleStep {
 public:
  ModuleStep(Gpt2& decoder, const EngineOptions& options);

  // Copies the inputs to the device. True when memory moved, which makes recorded steps useless.
  bool stage(const StepShape& shape, const StepInputs& inputs);
  // Keys and values of new pictures, from slot `first` on. True when memory moved.
  bool add_pictures(const at::Tensor& encoder_hidden_BSD, std::int64_t first);
  // The step itself, of what was staged: adds keys, -> logits [R, V], float32.
  at::Tensor run(const StepShape& shape);

  // slot to[i] becomes a copy of slot from[i]; no slot is in both.
  void copy_rows(std::span<const std::int64_t> from, std::span<const std::int64_t> to, std::int64_t tokens);
  void copy_pictures(std::span<const std::int64_t> from, std::span<const std::int64_t> to);

  const Gpt2Config& config() const { return config_; }
  std::int64_t room() const { return cross_.defined() ? cross_.size(1) : max_rows_; }  // for pictures
  std::int64_t image_tokens() const { return cross_.defined() ? cross_.size(3) : 0; }
  c10::Device device() const { return options_.device(); }

 private:
  struct Affine {
    at::Tensor weight, bias;
  };
  struct Layer {
    Affine ln_1, qkv, out, ln_cross, cross_q, cross_kv, cross_out, ln_2, fc, proj;
  };
  struct Staged;  // views into the staged inputs

  static at::Tensor linear(const at::Tensor& x, const Affine& layer);
  at::Tensor norm(const at::Tensor& x, const Affine& layer) const;
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& allowed,
                    std::size_t layer) const;
  at::Tensor self_attention(std::size_t layer, const at::Tensor& x_RD, const Staged& in) const;
  at::Tensor cross_attention(std::size_t layer, const at::Tensor& x_RD, const Staged& in, const StepShape& shape) const;
  Staged staged(const StepShape& shape) const;
  at::Tensor index(std::span<const std::int64_t> values) const;

  Gpt2Config config_;
  Activation activation_;
  std::int64_t max_rows_;
  at::TensorOptions options_;
  at::Tensor wte_, wpe_, head_;
  Affine ln_f_;
  std::vector<Layer> layers_;
  at::Tensor cache_;           // [layers * 2, max_rows, N, max_tokens, K]: keys and values in turn
  at::Tensor cross_;           // [layers * 2, room for pictures, N, S, K]
  at::Tensor inputs_;          // int64, on the device
  at::Tensor waiting_inputs_;  // int64, on the host, page-locked for a GPU
};

}  // namespace capstan
