// ViT (Dosovitskiy et al., 2021) with the names and numerics of transformers' ViTModel.
// Shapes: B batch, C channels, H height, W width, S image tokens (1 + patches), D hidden size,
// P patch size.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/nn/linear.h"

namespace capstan {

// Names and defaults of transformers' ViTConfig.
struct VitConfig {
  int hidden_size = 768;
  int num_hidden_layers = 12;
  int num_attention_heads = 12;
  int intermediate_size = 3072;
  std::string hidden_act = "gelu";
  double hidden_dropout_prob = 0.0;
  double attention_probs_dropout_prob = 0.0;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  int image_size = 224;
  int patch_size = 16;
  int num_channels = 3;
  bool qkv_bias = true;

  template <class Visitor>
  void fields(Visitor& v) {
    v("hidden_size", hidden_size, "Width of the encoder.", between(1, 65536));
    v("num_hidden_layers", num_hidden_layers, "Number of encoder blocks.", between(1, 1000));
    v("num_attention_heads", num_attention_heads, "Attention heads; must divide hidden_size.", between(1, 1024));
    v("intermediate_size", intermediate_size, "Width of the feed-forward layer.", between(1, 262144));
    v("hidden_act", hidden_act, "Activation of the feed-forward layer.", one_of({"gelu", "gelu_new", "relu", "silu"}));
    v("hidden_dropout_prob", hidden_dropout_prob, "Dropout after embeddings and sub-layers.", between(0, 1));
    v("attention_probs_dropout_prob", attention_probs_dropout_prob, "Dropout of attention weights.", between(0, 1));
    v("layer_norm_eps", layer_norm_eps, "Added to the variance in layer normalisation.", above(0));
    v("initializer_range", initializer_range, "Standard deviation of fresh weights.", above(0));
    v("image_size", image_size, "Height and width of the input, in pixels.", between(1, 4096));
    v("patch_size", patch_size, "Height and width of a patch, in pixels; must divide image_size.", between(1, 1024));
    v("num_channels", num_channels, "Colour channels of the input.", between(1, 16));
    v("qkv_bias", qkv_bias, "Whether query, key and value have a bias.");
  }
  void check(std::vector<std::string>& problems) const;
};

class VitLayer;

// The encoder without pooler. Weights are zeros until they are loaded or initialised. A pooler's weights travel along
// as buffers, unused and untrained: the reference model has them, so a folder without them would not open silently.
// Parameters carry the names of published weights ("embeddings.cls_token",
// "encoder.layer.0.attention.attention.query.weight", "layernorm.weight").
class Vit : public torch::nn::Module {
 public:
  explicit Vit(const VitConfig& config);
  // pixel_values float [B, C, H, W], normalised -> [B, S, D]. DataError when the size is not the configured one.
  at::Tensor forward(const at::Tensor& pixel_values_BCHW);
  const VitConfig& config() const { return config_; }

 private:
  at::Tensor embed(const at::Tensor& pixel_values_BCHW) const;

  VitConfig config_;
  at::Tensor cls_token_;            // [1, 1, D]
  at::Tensor position_embeddings_;  // [1, S, D]
  at::Tensor patch_weight_;         // [D, C, P, P]
  at::Tensor patch_bias_;           // [D]
  std::vector<std::shared_ptr<VitLayer>> layers_;
  torch::nn::LayerNorm layernorm_{nullptr};
};

}  // namespace capstan
