// The engine on own kernels: one start of the threads per step, barriers between its phases, no memory taken.
// Self-attention reads through a table of where each position of a row lies, so select() moves numbers and not keys.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "capstan/generate/engine.h"
#include "capstan/models/gpt2.h"
#include "generate/kernels/activations.h"
#include "generate/kernels/vector.h"

namespace capstan {

struct CpuNorm {
  kernels::Buffer<float> weight, bias;
};

struct CpuLayer {
  CpuNorm ln_1, ln_cross, ln_2;
  kernels::PackedMatrix qkv, proj, cross_q, cross_kv, cross_proj, fc, mlp_proj;
  float scale = 1;
};

// Keys and values of one picture for all layers and heads, float32 or bfloat16:
// keys [layers, N, K, num_padded], values [layers, N, num_keys, head_padded].
struct CpuPicture {
  kernels::Buffer<float> floats;
  kernels::Buffer<std::uint16_t> halves;
  std::int64_t num_keys = 0, num_padded = 0;
  std::int64_t num_rows = 0;  // texts that look at it; 0: free
};

class CpuEngine final : public DecodeEngine {
 public:
  CpuEngine(Gpt2& decoder, const EngineOptions& options);
  void add(const at::Tensor& encoder_hidden_BSD, std::int64_t copies) override;
  const at::Tensor& step(std::span<const std::int64_t> tokens) override;
  void select(std::span<const std::int64_t> rows) override;
  std::int64_t rows() const override { return num_rows_; }

 private:
  struct Row {
    std::int32_t picture = 0, length = 0, slot = 0;  // slot: where this step's position lies
  };

  void load_layers(const Gpt2& decoder);
  std::int32_t free_picture();
  void store_picture(CpuPicture& picture, const float* hidden_SD);
  void pack_heads(CpuPicture& picture, std::int64_t layer, const float* kv, std::int64_t head) const;
  void take_slots();

  // Phases of a step, on every thread; each ends with all work of the phase done.
  void run(int thread, std::span<const std::int64_t> tokens);
  void run_layer(int thread, std::int64_t layer);
  void normalize(int thread, const CpuNorm& norm);
  void prepare(int thread, const float* x, std::int64_t width);
  void product(int thread, const kernels::PackedMatrix& matrix, const float* x, std::int64_t width,
               const kernels::Epilogue& epilogue);
  void self_attention(int thread, std::int64_t layer);
  void cross_attention(int thread, std::int64_t layer);

  Gpt2Config config_;
  kernels::Cpu cpu_;
  kernels::VectorKernels vector_;
  kernels::Team team_;
  kernels::WeightType type_;
  bool wide_cache_;  // keys and values in float32
  kernels::Act activation_;
  std::int64_t max_rows_, max_tokens_, head_size_, head_padded_, width_, inner_;

  at::Tensor wte_, wpe_;  // float32; the model's own where it is float32
  std::vector<CpuLayer> layers_;
  CpuNorm ln_f_;
  kernels::PackedMatrix head_;

  std::int64_t num_rows_ = 0;
  std::vector<Row> row_, row_before_;
  std::vector<std::int32_t> slots_, slots_before_;  // [max_rows, max_tokens]
  std::vector<std::int32_t> slot_users_;            // [max_tokens, max_rows]: rows that look at a slot
  std::vector<CpuPicture> pictures_;

  kernels::Buffer<float> cache_floats_;          // [layers, 2, max_tokens, max_rows, D]
  kernels::Buffer<std::uint16_t> cache_halves_;  // the same
  kernels::Buffer<float> x_, normed_, qkv_, attended_, mid_;
  kernels::Activations operand_;
  std::vector<kernels::Scratch> scratch_;
  at::Tensor logits_;
  std::vector<at::Tensor> logits_of_;  // views of the first r rows
};

}  // namespace capstan
