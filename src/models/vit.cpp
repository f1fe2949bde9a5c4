// The vision transformer: patches in, hidden states out.
#include "capstan/models/vit.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/models/registry.h"
#include "capstan/nn/activation.h"
#include "capstan/nn/attention.h"
#include "capstan/nn/scope.h"

namespace capstan {

ModelEntry vit_model() {
  return {.name = "vit", .summary = "ViT vision encoder (transformers' ViTModel, without pooling)"};
}

// One block: attention and feed-forward, each behind its own normalisation (pre-norm) and with a residual path.
class VitLayer : public torch::nn::Module {
 public:
  explicit VitLayer(const VitConfig& config)
      : num_heads_(config.num_attention_heads),
        attention_dropout_(config.attention_probs_dropout_prob),
        hidden_dropout_(config.hidden_dropout_prob),
        activation_(parse_activation(config.hidden_act)) {
    const int width = config.hidden_size;
    const auto norm = torch::nn::LayerNormOptions({width}).eps(config.layer_norm_eps);
    layernorm_before_ = register_module("layernorm_before", torch::nn::LayerNorm(norm));
    layernorm_after_ = register_module("layernorm_after", torch::nn::LayerNorm(norm));
    torch::nn::Module& attention = scope(*this, "attention.attention");
    query_ = attention.register_module("query", Linear(width, width, config.qkv_bias));
    key_ = attention.register_module("key", Linear(width, width, config.qkv_bias));
    value_ = attention.register_module("value", Linear(width, width, config.qkv_bias));
    attention_output_ = scope(*this, "attention.output").register_module("dense", Linear(width, width));
    intermediate_ = scope(*this, "intermediate").register_module("dense", Linear(width, config.intermediate_size));
    output_ = scope(*this, "output").register_module("dense", Linear(config.intermediate_size, width));
  }

  at::Tensor forward(const at::Tensor& x_BSD) {
    const at::Tensor attended_BSD = x_BSD + drop(attention(layernorm_before_->forward(x_BSD)));
    return attended_BSD + drop(feed_forward(layernorm_after_->forward(attended_BSD)));
  }

 private:
  at::Tensor attention(const at::Tensor& x_BSD) {
    const at::Tensor q_BNSK = split_heads(query_->forward(x_BSD), num_heads_);
    const at::Tensor k_BNSK = split_heads(key_->forward(x_BSD), num_heads_);
    const at::Tensor v_BNSK = split_heads(value_->forward(x_BSD), num_heads_);
    const double dropout = is_training() ? attention_dropout_ : 0.0;
    return attention_output_->forward(merge_heads(attend(q_BNSK, k_BNSK, v_BNSK, {}, dropout)));
  }

  at::Tensor feed_forward(const at::Tensor& x_BSD) {
    return output_->forward(activate(intermediate_->forward(x_BSD), activation_));
  }

  at::Tensor drop(const at::Tensor& x) const { return at::dropout(x, hidden_dropout_, is_training()); }

  int num_heads_;
  double attention_dropout_;
  double hidden_dropout_;
  Activation activation_;
  torch::nn::LayerNorm layernorm_before_{nullptr}, layernorm_after_{nullptr};
  Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, attention_output_{nullptr};
  Linear intermediate_{nullptr}, output_{nullptr};
};

void VitConfig::check(std::vector<std::string>& problems) const {
  if (num_attention_heads < 1 || hidden_size % num_attention_heads != 0)
    problems.push_back(
        fmt::format("hidden_size {} is not a multiple of num_attention_heads {}", hidden_size, num_attention_heads));
  if (patch_size < 1 || image_size % patch_size != 0)
    problems.push_back(fmt::format("image_size {} is not a multiple of patch_size {}", image_size, patch_size));
}

Vit::Vit(const VitConfig& config) : config_(config) {
  const int width = config.hidden_size;
  const int patch = config.patch_size;
  const int num_patches = (config.image_size / patch) * (config.image_size / patch);
  torch::nn::Module& embeddings = scope(*this, "embeddings");
  cls_token_ = embeddings.register_parameter("cls_token", at::zeros({1, 1, width}));
  position_embeddings_ = embeddings.register_parameter("position_embeddings", at::zeros({1, num_patches + 1, width}));
  torch::nn::Module& projection = scope(*this, "embeddings.patch_embeddings.projection");
  patch_weight_ = projection.register_parameter("weight", at::zeros({width, config.num_channels, patch, patch}));
  patch_bias_ = projection.register_parameter("bias", at::zeros({width}));
  for (int i = 0; i < config.num_hidden_layers; ++i)
    layers_.push_back(
        scope(*this, "encoder.layer").register_module(std::to_string(i), std::make_shared<VitLayer>(config)));
  layernorm_ = register_module("layernorm",
                               torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(config.layer_norm_eps)));
  torch::nn::Module& pooler = scope(*this, "pooler.dense");
  pooler.register_buffer("weight", at::zeros({width, width}));
  pooler.register_buffer("bias", at::zeros({width}));
}

at::Tensor Vit::embed(const at::Tensor& pixel_values_BCHW) const {
  const std::int64_t size = config_.image_size;
  if (pixel_values_BCHW.dim() != 4 || pixel_values_BCHW.size(1) != config_.num_channels ||
      pixel_values_BCHW.size(2) != size || pixel_values_BCHW.size(3) != size)
    throw DataError(
        fmt::format("pictures of shape {} do not fit the model; expected [batch, {}, {}, {}]. "
                    "Prepare them with the image processor of this model.",
                    c10::str(pixel_values_BCHW.sizes()), config_.num_channels, size, size));
  // A convolution whose stride is its kernel is one matrix product over cut-out patches, which trains faster.
  const std::int64_t patch = config_.patch_size;
  const at::Tensor patches = pixel_values_BCHW.to(patch_weight_.scalar_type())
                                 .unflatten(3, {size / patch, patch})
                                 .unflatten(2, {size / patch, patch})  // [B, C, rows, P, columns, P]
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .flatten(3)
                                 .flatten(1, 2);  // [B, rows * columns, C * P * P]
  const at::Tensor x_BSD = at::linear(patches, patch_weight_.flatten(1), patch_bias_);
  return at::cat({cls_token_.expand({x_BSD.size(0), -1, -1}), x_BSD}, 1) + position_embeddings_;
}

at::Tensor Vit::forward(const at::Tensor& pixel_values_BCHW) {
  at::Tensor x_BSD = at::dropout(embed(pixel_values_BCHW), config_.hidden_dropout_prob, is_training());
  for (const auto& layer : layers_) x_BSD = layer->forward(x_BSD);
  return layernorm_->forward(x_BSD);
}

}  // namespace capstan
