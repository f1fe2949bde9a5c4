// One block of GPT-2: self-attention, attention to the picture, feed-forward.
#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>

#include <memory>

#include "capstan/models/gpt2.h"
#include "capstan/nn/activation.h"
#include "capstan/nn/attention.h"
#include "capstan/nn/linear.h"

namespace capstan {

// Attention of the text to itself. Keys and values of new tokens are appended to the cache, where there is one.
class Gpt2SelfAttention : public torch::nn::Module {
 public:
  Gpt2SelfAttention(const Gpt2Config& config, std::size_t layer);
  at::Tensor forward(const at::Tensor& x_BTD, const AttentionMask& mask, Gpt2Cache* cache);

  AttentionOptions options;  // without dropout

 private:
  int num_heads_;
  double attn_dropout_;
  std::size_t layer_;
  TransposedLinear c_attn_{nullptr};  // query, key and value in one product
  TransposedLinear c_proj_{nullptr};
};

// Attention of the text to the image tokens, which all of it may see. Their keys and values stay in the cache.
class Gpt2CrossAttention : public torch::nn::Module {
 public:
  Gpt2CrossAttention(const Gpt2Config& config, std::size_t layer);
  at::Tensor forward(const at::Tensor& x_BTD, const at::Tensor& encoder_hidden_BSD, Gpt2Cache* cache);

  AttentionOptions options;  // without dropout

 private:
  int num_heads_;
  double attn_dropout_;
  std::size_t layer_;
  TransposedLinear q_attn_{nullptr};
  TransposedLinear c_attn_{nullptr};  // key and value in one product
  TransposedLinear c_proj_{nullptr};
};

class Gpt2Mlp : public torch::nn::Module {
 public:
  explicit Gpt2Mlp(const Gpt2Config& config);
  at::Tensor forward(const at::Tensor& x_BTD);

 private:
  Activation activation_;
  TransposedLinear c_fc_{nullptr}, c_proj_{nullptr};
};

class Gpt2Block : public torch::nn::Module {
 public:
  Gpt2Block(const Gpt2Config& config, std::size_t layer);
  at::Tensor forward(const at::Tensor& x_BTD, const at::Tensor& encoder_hidden_BSD, const AttentionMask& mask,
                     Gpt2Cache* cache);
  void set_attention_kernel(AttentionKernel kernel);

  double drop_path_rate = 0;

 private:
  // Whether there is a picture to look at, now or in the cache.
  bool sees_picture(const at::Tensor& encoder_hidden_BSD, const Gpt2Cache* cache) const;
  at::Tensor drop(const at::Tensor& x) const;

  double resid_dropout_;
  std::size_t layer_;
  torch::nn::LayerNorm ln_1_{nullptr}, ln_cross_attn_{nullptr}, ln_2_{nullptr};
  std::shared_ptr<Gpt2SelfAttention> attn_;
  std::shared_ptr<Gpt2CrossAttention> crossattention_;  // null without cross-attention
  std::shared_ptr<Gpt2Mlp> mlp_;
};

}  // namespace capstan
