// Mixed precision: bfloat16 or float16 where it is safe, float32 master weights.
#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/train/config.h"

namespace capstan {

// While it lives, operators on `device` run under torch's autocast rules where the configuration asks for it. Not to
// be moved between threads: autocast is a setting of the thread.
class Autocast {
 public:
  Autocast(c10::Device device, const TrainerConfig& config);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::Device device_;
  bool enabled_;
};

// Small gradients vanish in float16, so the loss is multiplied by a scale that doubles after 2,000 good updates and
// halves when a gradient overflows (torch.amp.GradScaler's rules and numbers). Lives on the device. Without fp16 it
// does nothing.
class GradScaler {
 public:
  GradScaler(const TrainerConfig& config, c10::Device device);
  bool enabled() const { return scale_.defined(); }
  const at::Tensor& scale() const { return scale_; }  // float32 scalar; undefined when not enabled
  // Afterwards the scale fits `overflowed`, 1 when a gradient of this update was not finite.
  void update(const at::Tensor& overflowed);
  TensorMap state() const;  // "scale", "growth_tracker"; empty when not enabled
  void load_state(const TensorMap& tensors);

 private:
  at::Tensor scale_, growth_tracker_;
};

// Settings of the whole process: TensorFloat-32, and algorithms that give the same bits each time.
void set_numerics(const TrainerConfig& config);

}  // namespace capstan
