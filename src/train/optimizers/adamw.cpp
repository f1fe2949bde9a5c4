// AdamW (Loshchilov and Hutter, 2019) as torch.optim.AdamW(fused=True): one fused kernel over all parameters.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/train/optimizer.h"

namespace capstan {
namespace {

class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<NamedParameter> parameters, const OptimizerOptions& options)
      : parameters_(std::move(parameters)), options_(options) {
    for (const NamedParameter& parameter : parameters_) {
      exp_avgs_.push_back(at::zeros_like(parameter.tensor, parameter.tensor.options().requires_grad(false)));
      exp_avg_sqs_.push_back(at::zeros_like(exp_avgs_.back()));
      steps_.push_back(at::zeros({}, exp_avgs_.back().options()));
    }
  }

  void step(double learning_rate) override {
    const at::NoGradGuard no_grad;
    update(true, learning_rate);
    if (options_.weight_decay != 0) update(false, learning_rate);
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

  void load_state(const TensorMap& tensors) override {
    const at::NoGradGuard no_grad;
    const TensorMap own = state();
    std::vector<std::string> problems;
    for (const auto& [name, tensor] : own) {
      const auto found = tensors.find(name);
      if (found == tensors.end()) {
        problems.push_back(name + " is missing");
      } else if (found->second.sizes() != tensor.sizes()) {
        problems.push_back(fmt::format("{} has another shape than its parameter", name));
      }
    }
    for (const auto& [name, tensor] : tensors)
      if (!own.contains(name)) problems.push_back(name + " belongs to no parameter of the model");
    if (problems.size() > 5) problems.resize(5);
    if (!problems.empty())
      throw CheckpointError("optimizer state does not fit the model: " + join(problems, "; ") +
                            ". Was another part of the model frozen then?");
    for (const auto& [name, tensor] : own) tensor.copy_(tensors.at(name));
  }

 private:
  // Without weight decay one call takes everything; else those with decay and those without take turns.
  void update(bool with_decay, double learning_rate) {
    std::vector<at::Tensor> weights, gradients, exp_avgs, exp_avg_sqs, steps;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const NamedParameter& parameter = parameters_[i];
      if (!parameter.tensor.grad().defined()) continue;
      if (options_.weight_decay != 0 && parameter.decay != with_decay) continue;
      weights.push_back(parameter.tensor);
      gradients.push_back(parameter.tensor.grad());
      exp_avgs.push_back(exp_avgs_[i]);
      exp_avg_sqs.push_back(exp_avg_sqs_[i]);
      steps.push_back(steps_[i]);
    }
    if (weights.empty()) return;
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(weights, gradients, exp_avgs, exp_avg_sqs, {}, steps, learning_rate, options_.beta1,
                      options_.beta2, with_decay ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }

  std::vector<NamedParameter> parameters_;
  OptimizerOptions options_;
  std::vector<at::Tensor> exp_avgs_, exp_avg_sqs_, steps_;
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
