// Heads, masks, torch's fused attention and the same written out; tests hold them against each other.
#include "capstan/nn/attention.h"

#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "capstan/core/error.h"

namespace capstan {
namespace {

// scale * q k^T [B, N, T, S]; in float32 where asked.
at::Tensor scores(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const AttentionOptions& options) {
  const double scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q_BNTK.size(-1))));
  if (!options.upcast) return at::matmul(q_BNTK, k_BNSK.transpose(-1, -2)) * scale;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  return at::matmul(q_BNTK.to(at::kFloat) * scale, k_BNSK.to(at::kFloat).transpose(-1, -2));
}

at::Tensor attend_eagerly(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                          const AttentionMask& mask, const AttentionOptions& options) {
  at::Tensor scores_BNTS = scores(q_BNTK, k_BNSK, options);
  at::Tensor allowed = mask.allowed;
  if (mask.causal) allowed = at::ones({q_BNTK.size(2), k_BNSK.size(2)}, q_BNTK.options().dtype(at::kBool)).tril();
  if (allowed.defined())
    scores_BNTS = scores_BNTS.masked_fill(allowed.logical_not(), -std::numeric_limits<double>::infinity());
  const at::Tensor weights_BNTS = at::softmax(scores_BNTS, -1, at::kFloat).to(v_BNSK.scalar_type());
  return at::matmul(at::dropout(weights_BNTS, options.dropout, options.dropout > 0), v_BNSK);
}

}  // namespace

at::Tensor split_heads(const at::Tensor& x_BTD, std::int64_t num_heads) {
  return x_BTD.unflatten(-1, {num_heads, x_BTD.size(-1) / num_heads}).transpose(1, 2);
}

at::Tensor merge_heads(const at::Tensor& x_BNTK) { return x_BNTK.transpose(1, 2).flatten(2); }

AttentionMask causal_mask(std::int64_t num_new, std::int64_t num_past, c10::Device device) {
  if (num_new == 1) return {};  // the newest token sees everything
  if (num_past == 0) return {.causal = true, .allowed = {}};
  const auto options = at::TensorOptions().dtype(at::kBool).device(device);
  return {.allowed = at::ones({num_new, num_past + num_new}, options).tril(num_past)};
}

AttentionKernel parse_attention(std::string_view name) {
  if (name == "sdpa") return AttentionKernel::kSdpa;
  if (name == "eager") return AttentionKernel::kEager;
  throw ConfigError(fmt::format("attn_implementation is '{}'; expected 'sdpa' or 'eager'.", name));
}

at::Tensor attend(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                  const AttentionMask& mask, const AttentionOptions& options) {
  if (options.upcast || options.kernel == AttentionKernel::kEager)
    return attend_eagerly(q_BNTK, k_BNSK, v_BNSK, mask, options);
  const auto allowed = mask.allowed.defined() ? std::optional<at::Tensor>(mask.allowed) : std::nullopt;
  return at::scaled_dot_product_attention(q_BNTK, k_BNSK, v_BNSK, allowed, options.dropout, mask.causal, options.scale);
}

}  // namespace capstan
