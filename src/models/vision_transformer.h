// The pre-norm vision transformer that ViT, DeiT and SigLIP share. Families differ in names, in tokens that stand
// before the patches, and in what their files carry besides.
#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capstan/models/vision.h"
#include "capstan/models/vision_layout.h"
#include "capstan/nn/activation.h"
#include "capstan/nn/attention.h"
#include "capstan/nn/linear.h"

namespace capstan {

// Attention and feed-forward, each behind its own normalisation and with a residual path.
class VisionBlock : public torch::nn::Module {
 public:
  VisionBlock(const VisionConfig& config, const VisionLayout& layout);
  at::Tensor forward(const at::Tensor& x_BSD);

  double drop_path_rate = 0;
  AttentionKernel attention_kernel = AttentionKernel::kSdpa;

 private:
  at::Tensor attention(const at::Tensor& normed_BSD);
  at::Tensor feed_forward(const at::Tensor& x_BSD);
  at::Tensor drop(const at::Tensor& x) const;

  int num_heads_;
  double attention_dropout_;
  double hidden_dropout_;
  Activation activation_;
  torch::nn::LayerNorm norm_1_{nullptr}, norm_2_{nullptr};
  Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, attention_output_{nullptr};
  Linear fc_1_{nullptr}, fc_2_{nullptr};
};

class VisionTransformer final : public VisionEncoder {
 public:
  VisionTransformer(const VisionConfig& config, const VisionLayout& layout);
  at::Tensor forward(const at::Tensor& pixel_values_BCHW, bool interpolate) override;
  std::int64_t num_tokens() const override;
  void set_image_size(int image_size) override;
  void set_drop_path_rate(double rate) override;
  void set_attn_implementation(std::string_view name) override;
  const VisionLayout* layout() const override { return &layout_; }

 private:
  at::Tensor patches(const at::Tensor& pixel_values_BCHW) const;        // -> [B, rows * columns, D]
  at::Tensor positions(std::int64_t height, std::int64_t width) const;  // -> [1, S, D] for pictures of that size
  at::Tensor embed(const at::Tensor& pixel_values_BCHW, bool interpolate) const;

  VisionLayout layout_;
  std::vector<at::Tensor> tokens_;  // [1, 1, D] each
  at::Tensor positions_;            // [1, S, D] or [S, D]
  at::Tensor patch_weight_;         // [D, C, P, P]
  at::Tensor patch_bias_;           // [D]
  std::vector<std::shared_ptr<VisionBlock>> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace capstan
