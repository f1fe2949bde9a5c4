// A small network whose gradients several ranks sum, and its batch of eight rows.
#pragma once
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>
#include <vector>

namespace capstan::testing {

// The projection at the end shares its weights with the first layer, as language models do.
struct ParallelModel : torch::nn::Module {
  explicit ParallelModel(std::int64_t width = 64) {
    first = register_module("first", torch::nn::Linear(16, width));
    norm = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    middle = register_module("middle", torch::nn::Linear(width, width));
    const at::NoGradGuard no_grad;
    double phase = 0.3;
    for (at::Tensor& parameter : parameters()) {  // numbers that look random and are the same everywhere
      const at::Tensor angle = at::arange(parameter.numel(), at::kDouble) * 0.7 + (phase += 1.1);
      parameter.copy_((at::sin(angle * angle) * 0.4).view_as(parameter));
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor hidden = norm->forward(at::tanh(first->forward(x)));
    return at::matmul(at::gelu(middle->forward(hidden)), first->weight);
  }

  // Gradients of rows [begin, end) of the batch of step `step`, over the number of rows of the whole batch.
  at::Tensor loss(std::int64_t step, std::int64_t begin, std::int64_t end) {
    const at::Tensor angle = at::arange(kRows * 16, at::kFloat).view({kRows, 16}) * 0.9 + static_cast<double>(step);
    const at::Tensor x = at::sin(angle).slice(0, begin, end);
    const at::Tensor y = (at::arange(kRows, at::kLong) * 5 + step).remainder(16).slice(0, begin, end);
    return at::cross_entropy_loss(forward(x), y, {}, at::Reduction::Sum) / static_cast<double>(kRows);
  }

  static constexpr std::int64_t kRows = 8;
  torch::nn::Linear first{nullptr}, middle{nullptr};
  torch::nn::LayerNorm norm{nullptr};
};

}  // namespace capstan::testing
