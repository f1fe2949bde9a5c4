// Heads, masks and torch's fused attention, which tests hold against softmax written out.
#include "capstan/nn/attention.h"

#include <ATen/ATen.h>

namespace capstan {

at::Tensor split_heads(const at::Tensor& x_BTD, std::int64_t num_heads) {
  return x_BTD.unflatten(-1, {num_heads, x_BTD.size(-1) / num_heads}).transpose(1, 2);
}

at::Tensor merge_heads(const at::Tensor& x_BNTK) { return x_BNTK.transpose(1, 2).flatten(2); }

AttentionMask causal_mask(std::int64_t num_new, std::int64_t num_past, c10::Device device) {
  if (num_new == 1) return {};  // the newest token sees everything
  if (num_past == 0) return {.causal = true};
  const auto options = at::TensorOptions().dtype(at::kBool).device(device);
  return {.allowed = at::ones({num_new, num_past + num_new}, options).tril(num_past)};
}

at::Tensor attend(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                  const AttentionMask& mask, double dropout) {
  const auto allowed = mask.allowed.defined() ? std::optional<at::Tensor>(mask.allowed) : std::nullopt;
  return at::scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSK, allowed, dropout, mask.causal);
}

}  // namespace capstan
