// Multi-head attention without its projections, shared by encoders and decoders.
// Shapes: B batch, N heads, T queries, S keys, K head size, P tokens before the queries.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace capstan {

at::Tensor split_heads(const at::Tensor& x_BTD, std::int64_t num_heads);  // -> [B, N, T, D / N], a view
at::Tensor merge_heads(const at::Tensor& x_BNTK);                         // -> [B, T, N * K]

// Which keys a query may see.
struct AttentionMask {
  bool causal = false;  // query t sees keys 0..t; T and S are equal
  at::Tensor allowed;   // or bool, broadcast to [B, N, T, S]: true where a query may look; undefined for everywhere
};

// The mask of T new tokens behind P earlier ones: query t sees keys 0..P+t.
AttentionMask causal_mask(std::int64_t num_new, std::int64_t num_past, c10::Device device);

// softmax(q k^T / sqrt(K)) v, with dropout on the weights where `dropout` is above 0. -> [B, N, T, K]
at::Tensor attend(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                  const AttentionMask& mask = {}, double dropout = 0);

}  // namespace capstan
