// Exponential moving average of the trained weights.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/train/config.h"
#include "capstan/train/optimizer.h"

namespace capstan {

class Ema {
 public:
  // Starts at the weights as they are. Empty when config.decay is 0.
  Ema(const EmaConfig& config, std::span<const NamedParameter> parameters);
  bool enabled() const { return !averages_.empty(); }
  // average = d * average + (1 - d) * weight, after update number `step` (from 1).
  void update(std::int64_t step);
  // Exchanges weights and averages in place; once more to get them back.
  void swap();
  TensorMap state() const;  // by parameter name, sharing memory
  void load_state(const TensorMap& tensors);

 private:
  EmaConfig config_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> weights_, averages_;
};

// The averages are the model's weights while it lives.
class UsingEma {
 public:
  explicit UsingEma(Ema* ema) : ema_(ema != nullptr && ema->enabled() ? ema : nullptr) {
    if (ema_ != nullptr) ema_->swap();
  }
  ~UsingEma() {
    if (ema_ != nullptr) ema_->swap();
  }
  UsingEma(const UsingEma&) = delete;
  UsingEma& operator=(const UsingEma&) = delete;

 private:
  Ema* ema_;
};

}  // namespace capstan
