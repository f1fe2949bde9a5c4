// The state of the random numbers that ATen operations draw, for keeping and going back to.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace capstan {

// Of the device's default generator: bytes that only set_generator_state reads.
at::Tensor generator_state(c10::Device device);
void set_generator_state(c10::Device device, const at::Tensor& state);

// The generators that work on `device` may draw from, the CPU's and its own, as they were when this was made.
class RandomState {
 public:
  explicit RandomState(c10::Device device);
  void restore() const;

 private:
  c10::Device device_;
  at::Tensor cpu_, own_;
};

}  // namespace capstan
