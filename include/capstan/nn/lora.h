// Low-rank adaptation of linear layers (LoRA, Hu et al., 2021, arXiv:2106.09685), with the numerics of peft's plain
// LoRA.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <optional>

namespace capstan {

struct LoraOptions {
  std::int64_t rank = 8;
  double scale = 1;    // lora_alpha / r
  double dropout = 0;  // of the layer's input on its way to A, in training only
};

// A linear layer that may carry an adapter: y = layer(x) + scale * B(A(dropout(x))). A and B are registered as
// "lora_A.weight" [rank, in] and "lora_B.weight" [out, rank], the names of peft.
class LoraLayer : public torch::nn::Module {
 public:
  at::Tensor weight;
  at::Tensor bias;  // undefined without bias

  std::int64_t in_features() const { return weight.size(transposed_ ? 0 : 1); }
  std::int64_t out_features() const { return weight.size(transposed_ ? 1 : 0); }

  // Adds A and B as zeros on the weight's device, in float32. One adapter at a time.
  void attach_lora(const LoraOptions& options);
  // Removes A and B; a merged product stays in the weight.
  void remove_lora();
  bool has_lora() const { return lora_.has_value(); }
  const LoraOptions& lora() const { return lora_.value(); }
  const at::Tensor& lora_a() const { return a_; }
  const at::Tensor& lora_b() const { return b_; }

  // Puts the product into the weight, so that forward() costs nothing more. unmerge brings the weight back bit for bit:
  // it is kept until then. Both do nothing where there is nothing to do.
  void merge_lora();
  void unmerge_lora();
  bool merged() const { return base_.defined(); }

 protected:
  explicit LoraLayer(bool transposed) : transposed_(transposed) {}
  // `y`, the layer's own output for `x`, with what the adapter adds.
  at::Tensor adapted(const at::Tensor& y, const at::Tensor& x) const;

 private:
  bool transposed_;  // the weight is [in, out]
  std::optional<LoraOptions> lora_;
  at::Tensor a_, b_;
  at::Tensor base_;  // the weight before merging; undefined while not merged
};

}  // namespace capstan
