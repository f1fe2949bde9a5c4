// Multi-head attention without its projections, shared by encoders and decoders.
// Shapes: B batch, N heads, T queries, S keys, K head size, P tokens before the queries.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace capstan {

at::Tensor split_heads(const at::Tensor& x_BTD, std::int64_t num_heads);  // -> [B, N, T, D / N], a view
at::Tensor merge_heads(const at::Tensor& x_BNTK);                         // -> [B, T, N * K]

// Which keys a query may see.
struct AttentionMask {
  bool causal = false;   // query t sees keys 0..t; T and S are equal
  at::Tensor allowed{};  // or bool, broadcast to [B, N, T, S]: true where a query may look; undefined for everywhere
};

// The mask of T new tokens behind P earlier ones: query t sees keys 0..P+t.
AttentionMask causal_mask(std::int64_t num_new, std::int64_t num_past, c10::Device device);

// Two ways to the same numbers, by transformers' names: "sdpa" takes the fastest fused kernel that torch has for the
// device (flash attention where there is one), "eager" writes the softmax out.
enum class AttentionKernel { kSdpa, kEager };

// ConfigError for another name.
AttentionKernel parse_attention(std::string_view name);

struct AttentionOptions {
  AttentionKernel kernel = AttentionKernel::kSdpa;
  std::optional<double> scale{};  // of the scores; 1 / sqrt(K) where nothing is said
  double dropout = 0;             // of the weights
  // Scores and softmax in float32 even under autocast, as GPT-2's reorder_and_upcast_attn asks. Takes the eager way.
  bool upcast = false;
};

// softmax(scale * q k^T) v -> [B, N, T, K]
at::Tensor attend(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                  const AttentionMask& mask = {}, const AttentionOptions& options = {});

}  // namespace capstan
