// AdamW (Loshchilov and Hutter, 2019) as torch.optim.AdamW(fused=True): one fused kernel over all parameters.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "capstan/train/optimizer.h"

namespace capstan {
namespace {

class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<NamedParameter> parameters, const OptimizerOptions& options)
      : parameters_(std::move(parameters)), options_(options) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const NamedParameter& parameter = parameters_[i];
      exp_avgs_.push_back(at::zeros_like(parameter.tensor, parameter.tensor.options().requires_grad(false)));
      exp_avg_sqs_.push_back(at::zeros_like(exp_avgs_.back()));
      steps_.push_back(at::zeros({}, exp_avgs_.back().options().dtype(at::kFloat)));
      groups_[{parameter.lr_scale, parameter.weight_decay}].push_back(i);
    }
  }

  void step(const UpdateControl& control) override {
    const at::NoGradGuard no_grad;
    if (control.skip.defined() && control.skip.is_cpu() && control.skip.item<float>() != 0) return;
    for (const auto& [key, members] : groups_) update(control, key.first, key.second, members);
  }

  TensorMap state() const override {
    TensorMap tensors;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      tensors["exp_avg." + parameters_[i].name] = exp_avgs_[i];
      tensors["exp_avg_sq." + parameters_[i].name] = exp_avg_sqs_[i];
      tensors["step." + parameters_[i].name] = steps_[i];
    }
    return tensors;
  }

  void load_state(const TensorMap& tensors) override { copy_state(state(), tensors); }

 private:
  void update(const UpdateControl& control, double lr_scale, double weight_decay,
              const std::vector<std::size_t>& members) {
    std::vector<at::Tensor> weights, gradients, exp_avgs, exp_avg_sqs, steps;
    for (const std::size_t i : members) {
      if (!parameters_[i].tensor.grad().defined()) continue;
      weights.push_back(parameters_[i].tensor);
      gradients.push_back(parameters_[i].tensor.grad());
      exp_avgs.push_back(exp_avgs_[i]);
      exp_avg_sqs.push_back(exp_avg_sqs_[i]);
      steps.push_back(steps_[i]);
    }
    if (weights.empty()) return;
    // The kernel itself leaves the rest alone when it is told to skip; the count has to be told too.
    if (control.skip.defined() && !control.skip.is_cpu())
      at::_foreach_add_(steps, 1 - control.skip);
    else
      at::_foreach_add_(steps, 1);
    const auto given = [](const at::Tensor& tensor) {
      return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
    };
    at::_fused_adamw_(weights, gradients, exp_avgs, exp_avg_sqs, {}, steps, control.learning_rate * lr_scale,
                      options_.beta1, options_.beta2, weight_decay, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false, given(control.gradient_divisor), given(control.skip));
  }

  std::vector<NamedParameter> parameters_;
  OptimizerOptions options_;
  std::vector<at::Tensor> exp_avgs_, exp_avg_sqs_, steps_;
  std::map<std::pair<double, double>, std::vector<std::size_t>> groups_;  // (lr_scale, weight_decay) -> parameters
};

}  // namespace

OptimizerEntry adamw_optimizer() {
  return {.name = "adamw",
          .summary = "AdamW, fused, as torch.optim.AdamW.",
          .make = [](std::vector<NamedParameter> parameters, const OptimizerOptions& options) {
            return std::make_unique<AdamW>(std::move(parameters), options);
          }};
}

}  // namespace capstan
