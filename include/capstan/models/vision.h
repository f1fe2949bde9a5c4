// Vision encoders: one configuration for all families, and what each of them can be asked.
// Shapes: B batch, C channels, H height, W width, S image tokens (class tokens and patches), D hidden size.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/fields.h"

namespace capstan {

struct VisionLayout;

// Names of transformers' ViTConfig; the defaults are ViT-B/16's.
struct VisionConfig {
  std::string model_type = "vit";
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
  bool vision_use_head = true;
  // How the model is run; not part of config.json.
  bool interpolate_pos_encoding = false;
  double drop_path_rate = 0.0;
  std::string attn_implementation = "sdpa";

  template <class Visitor>
  void fields(Visitor& v) {
    v("model_type", model_type, "Family of the encoder: vit, deit or siglip_vision_model.");
    architecture(v);
    v("interpolate_pos_encoding", interpolate_pos_encoding,
      "Take pictures of any size: the position table is interpolated to theirs.");
    v("drop_path_rate", drop_path_rate,
      "Stochastic depth: how often the last block is skipped in training, per picture; less for earlier ones.",
      between(0, 0.99));
    v("attn_implementation", attn_implementation, "Attention by fused kernels (sdpa) or written out (eager).",
      one_of({"sdpa", "eager"}));
  }
  // What config.json holds of it.
  template <class Visitor>
  void architecture(Visitor& v) {
    v("hidden_size", hidden_size, "Width of the encoder.", between(1, 65536));
    v("num_hidden_layers", num_hidden_layers, "Number of encoder blocks.", between(1, 1000));
    v("num_attention_heads", num_attention_heads, "Attention heads; must divide hidden_size.", between(1, 1024));
    v("intermediate_size", intermediate_size, "Width of the feed-forward layer.", between(1, 262144));
    v("hidden_act", hidden_act, "Activation of the feed-forward layer.",
      one_of({"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"}));
    v("hidden_dropout_prob", hidden_dropout_prob, "Dropout after embeddings and sub-layers.", between(0, 1));
    v("attention_probs_dropout_prob", attention_probs_dropout_prob, "Dropout of attention weights.", between(0, 1));
    v("layer_norm_eps", layer_norm_eps, "Added to the variance in layer normalisation.", above(0));
    v("initializer_range", initializer_range, "Standard deviation of fresh weights.", above(0));
    v("image_size", image_size, "Height and width of the input, in pixels.", between(1, 4096));
    v("patch_size", patch_size, "Height and width of a patch, in pixels; what is left over at the edges is not seen.",
      between(1, 1024));
    v("num_channels", num_channels, "Colour channels of the input.", between(1, 16));
    v("qkv_bias", qkv_bias, "Whether query, key and value have a bias.");
    v("vision_use_head", vision_use_head, "Whether a SigLIP folder has the weights of its pooling head (never used).");
  }
  void check(std::vector<std::string>& problems) const;
};

// Weights are zeros until they are loaded or initialised. Parameters carry the names of published weights. Those of a
// pooling head travel along as buffers, unused and untrained: the reference model has them, so a folder without them
// would not open silently.
class VisionEncoder : public torch::nn::Module {
 public:
  // pixel_values float [B, C, H, W], normalised -> [B, S, D]. Where `interpolate` or the configuration says so, H and W
  // may be any, and the position table is interpolated to them (bicubic, as transformers' interpolate_pos_encoding
  // does); else DataError when they are not the configured ones.
  virtual at::Tensor forward(const at::Tensor& pixel_values_BCHW, bool interpolate = false) = 0;
  virtual std::int64_t num_tokens() const = 0;  // S at the configured size
  // Another size from now on; the position table is interpolated to it, once and for good.
  virtual void set_image_size(int image_size) = 0;
  // In training, keep only each block's input and compute the block again for the gradients.
  void set_gradient_checkpointing(bool on) { gradient_checkpointing_ = on; }
  virtual void set_drop_path_rate(double rate) = 0;
  virtual void set_attn_implementation(std::string_view name) = 0;  // "sdpa" or "eager"
  // The names of its weights (vision_layout.h) where it is a pre-norm vision transformer; else null.
  virtual const VisionLayout* layout() const { return nullptr; }
  const VisionConfig& config() const { return config_; }

 protected:
  explicit VisionEncoder(VisionConfig config) : config_(std::move(config)) {}
  VisionConfig config_;
  bool gradient_checkpointing_ = false;
};

// The encoder of config.model_type. ConfigError for one that this build does not know.
std::shared_ptr<VisionEncoder> make_vision_encoder(const VisionConfig& config);

}  // namespace capstan
