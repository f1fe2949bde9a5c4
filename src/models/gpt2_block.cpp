// Projections around the shared attention, and the appending of keys and values to the cache.
#include "models/gpt2_block.h"

#include <ATen/ATen.h>

#include <cmath>

#include "capstan/core/error.h"
#include "capstan/nn/drop_path.h"

namespace capstan {
namespace {

// Writes `fresh` [B, N, T, K] behind the `past` positions of `buffer` (made on first use) and returns all of them.
at::Tensor append(at::Tensor& buffer, const at::Tensor& fresh, std::int64_t past, std::int64_t capacity) {
  const std::int64_t count = fresh.size(2);
  if (!buffer.defined()) buffer = at::empty({fresh.size(0), fresh.size(1), capacity, fresh.size(3)}, fresh.options());
  buffer.narrow(2, past, count).copy_(fresh);
  return buffer.narrow(2, 0, past + count);
}

AttentionOptions attention_options(const Gpt2Config& config, std::size_t layer) {
  double scale = config.scale_attn_weights ? 1 / std::sqrt(static_cast<double>(config.n_embd / config.n_head)) : 1;
  if (config.scale_attn_by_inverse_layer_idx) scale /= static_cast<double>(layer + 1);
  return {.scale = scale, .upcast = config.reorder_and_upcast_attn};
}

AttentionOptions with_dropout(AttentionOptions options, double dropout, bool training) {
  options.dropout = training ? dropout : 0.0;
  return options;
}

}  // namespace

Gpt2SelfAttention::Gpt2SelfAttention(const Gpt2Config& config, std::size_t layer)
    : options(attention_options(config, layer)),
      num_heads_(config.n_head),
      attn_dropout_(config.attn_pdrop),
      layer_(layer) {
  c_attn_ = register_module("c_attn", TransposedLinear(config.n_embd, 3 * config.n_embd));
  c_proj_ = register_module("c_proj", TransposedLinear(config.n_embd, config.n_embd));
}

at::Tensor Gpt2SelfAttention::forward(const at::Tensor& x_BTD, const AttentionMask& mask, Gpt2Cache* cache) {
  const std::vector<at::Tensor> qkv = c_attn_->forward(x_BTD).chunk(3, -1);
  const at::Tensor q_BNTK = split_heads(qkv[0], num_heads_);
  at::Tensor k_BNTK = split_heads(qkv[1], num_heads_);
  at::Tensor v_BNTK = split_heads(qkv[2], num_heads_);
  if (cache != nullptr) {
    k_BNTK = append(cache->keys[layer_], k_BNTK, cache->length, cache->capacity);
    v_BNTK = append(cache->values[layer_], v_BNTK, cache->length, cache->capacity);
  }
  const AttentionOptions now = with_dropout(options, attn_dropout_, is_training());
  return c_proj_->forward(merge_heads(attend(q_BNTK, k_BNTK, v_BNTK, mask, now)));
}

Gpt2CrossAttention::Gpt2CrossAttention(const Gpt2Config& config, std::size_t layer)
    : options(attention_options(config, layer)),
      num_heads_(config.n_head),
      attn_dropout_(config.attn_pdrop),
      layer_(layer) {
  c_attn_ = register_module("c_attn", TransposedLinear(config.n_embd, 2 * config.n_embd));
  q_attn_ = register_module("q_attn", TransposedLinear(config.n_embd, config.n_embd));
  c_proj_ = register_module("c_proj", TransposedLinear(config.n_embd, config.n_embd));
}

at::Tensor Gpt2CrossAttention::forward(const at::Tensor& x_BTD, const at::Tensor& encoder_hidden_BSD,
                                       Gpt2Cache* cache) {
  at::Tensor k_BNSK, v_BNSK;
  if (cache != nullptr && cache->cross_keys[layer_].defined()) {
    k_BNSK = cache->cross_keys[layer_];
    v_BNSK = cache->cross_values[layer_];
  } else {
    CAPSTAN_ASSERT(encoder_hidden_BSD.defined());
    const std::vector<at::Tensor> kv = c_attn_->forward(encoder_hidden_BSD).chunk(2, -1);
    k_BNSK = split_heads(kv[0], num_heads_);
    v_BNSK = split_heads(kv[1], num_heads_);
    if (cache != nullptr) {
      // Contiguous once, because every later step reads them.
      k_BNSK = cache->cross_keys[layer_] = k_BNSK.contiguous();
      v_BNSK = cache->cross_values[layer_] = v_BNSK.contiguous();
    }
  }
  // All texts of a picture look at it as one long text would: there is no mask here.
  const at::Tensor q_BTD = q_attn_->forward(x_BTD);
  const at::Tensor q_BNTK = split_heads(q_BTD.reshape({k_BNSK.size(0), -1, q_BTD.size(2)}), num_heads_);
  const AttentionOptions now = with_dropout(options, attn_dropout_, is_training());
  return c_proj_->forward(merge_heads(attend(q_BNTK, k_BNSK, v_BNSK, {}, now)).reshape(q_BTD.sizes()));
}

Gpt2Mlp::Gpt2Mlp(const Gpt2Config& config) : activation_(parse_activation(config.activation_function)) {
  const int inner = config.n_inner > 0 ? config.n_inner : 4 * config.n_embd;
  c_fc_ = register_module("c_fc", TransposedLinear(config.n_embd, inner));
  c_proj_ = register_module("c_proj", TransposedLinear(inner, config.n_embd));
}

at::Tensor Gpt2Mlp::forward(const at::Tensor& x_BTD) {
  return c_proj_->forward_activated(c_fc_->forward(x_BTD), activation_);
}

Gpt2Block::Gpt2Block(const Gpt2Config& config, std::size_t layer) : resid_dropout_(config.resid_pdrop), layer_(layer) {
  const auto norm = torch::nn::LayerNormOptions({config.n_embd}).eps(config.layer_norm_epsilon);
  ln_1_ = register_module("ln_1", torch::nn::LayerNorm(norm));
  attn_ = register_module("attn", std::make_shared<Gpt2SelfAttention>(config, layer));
  if (config.add_cross_attention) {
    ln_cross_attn_ = register_module("ln_cross_attn", torch::nn::LayerNorm(norm));
    crossattention_ = register_module("crossattention", std::make_shared<Gpt2CrossAttention>(config, layer));
  }
  ln_2_ = register_module("ln_2", torch::nn::LayerNorm(norm));
  mlp_ = register_module("mlp", std::make_shared<Gpt2Mlp>(config));
}

at::Tensor Gpt2Block::forward(const at::Tensor& x_BTD, const at::Tensor& encoder_hidden_BSD, const AttentionMask& mask,
                              Gpt2Cache* cache) {
  at::Tensor h_BTD = x_BTD + drop(attn_->forward(ln_1_->forward(x_BTD), mask, cache));
  if (sees_picture(encoder_hidden_BSD, cache))
    h_BTD = h_BTD + drop(crossattention_->forward(ln_cross_attn_->forward(h_BTD), encoder_hidden_BSD, cache));
  return h_BTD + drop(mlp_->forward(ln_2_->forward(h_BTD)));
}

void Gpt2Block::set_attention_kernel(AttentionKernel kernel) {
  attn_->options.kernel = kernel;
  if (crossattention_ != nullptr) crossattention_->options.kernel = kernel;
}

bool Gpt2Block::sees_picture(const at::Tensor& encoder_hidden_BSD, const Gpt2Cache* cache) const {
  if (crossattention_ == nullptr) return false;
  return encoder_hidden_BSD.defined() || (cache != nullptr && cache->cross_keys[layer_].defined());
}

at::Tensor Gpt2Block::drop(const at::Tensor& x) const {
  return drop_path(at::dropout(x, resid_dropout_, is_training()), drop_path_rate, is_training());
}

}  // namespace capstan
