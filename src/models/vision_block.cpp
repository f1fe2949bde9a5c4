// One block of a vision transformer under a family's names.
#include <ATen/ATen.h>

#include "capstan/nn/autocast.h"
#include "capstan/nn/drop_path.h"
#include "capstan/nn/scope.h"
#include "models/vision_transformer.h"

namespace capstan {
namespace {

// Registers `module` under a dotted path.
template <class Holder>
Holder place(torch::nn::Module& root, const std::string& path, Holder module) {
  const auto dot = path.rfind('.');
  if (dot == std::string::npos) return root.register_module(path, module);
  return scope(root, path.substr(0, dot)).register_module(path.substr(dot + 1), module);
}

}  // namespace

VisionBlock::VisionBlock(const VisionConfig& config, const VisionLayout& layout)
    : num_heads_(config.num_attention_heads),
      attention_dropout_(config.attention_probs_dropout_prob),
      hidden_dropout_(config.hidden_dropout_prob),
      activation_(parse_activation(config.hidden_act)) {
  const int width = config.hidden_size;
  const auto norm = torch::nn::LayerNormOptions({width}).eps(config.layer_norm_eps);
  norm_1_ = place(*this, layout.norm_1, torch::nn::LayerNorm(norm));
  norm_2_ = place(*this, layout.norm_2, torch::nn::LayerNorm(norm));
  query_ = place(*this, layout.query, Linear(width, width, config.qkv_bias));
  key_ = place(*this, layout.key, Linear(width, width, config.qkv_bias));
  value_ = place(*this, layout.value, Linear(width, width, config.qkv_bias));
  attention_output_ = place(*this, layout.attention_output, Linear(width, width));
  fc_1_ = place(*this, layout.fc_1, Linear(width, config.intermediate_size));
  fc_2_ = place(*this, layout.fc_2, Linear(config.intermediate_size, width));
}

at::Tensor VisionBlock::forward(const at::Tensor& x_BSD) {
  const at::Tensor attended_BSD = x_BSD + drop(attention(norm_1_->forward(x_BSD)));
  return attended_BSD + drop(feed_forward(norm_2_->forward(attended_BSD)));
}

at::Tensor VisionBlock::attention(const at::Tensor& normed_BSD) {
  const at::Tensor x_BSD = normed_BSD.to(product_type(normed_BSD));  // once for three products
  const at::Tensor q_BNSK = split_heads(query_->forward(x_BSD), num_heads_);
  const at::Tensor k_BNSK = split_heads(key_->forward(x_BSD), num_heads_);
  const at::Tensor v_BNSK = split_heads(value_->forward(x_BSD), num_heads_);
  const AttentionOptions options{.kernel = attention_kernel, .dropout = is_training() ? attention_dropout_ : 0.0};
  return attention_output_->forward(merge_heads(attend(q_BNSK, k_BNSK, v_BNSK, {}, options)));
}

at::Tensor VisionBlock::feed_forward(const at::Tensor& x_BSD) {
  return fc_2_->forward_activated(fc_1_->forward(x_BSD), activation_);
}

at::Tensor VisionBlock::drop(const at::Tensor& x) const {
  return drop_path(at::dropout(x, hidden_dropout_, is_training()), drop_path_rate, is_training());
}

}  // namespace capstan
