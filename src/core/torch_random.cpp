// The default generators behind their locks.
#include "capstan/core/torch_random.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>

#include <mutex>

namespace capstan {

at::Tensor generator_state(c10::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(c10::Device device, const at::Tensor& state) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state.clone());
}

RandomState::RandomState(c10::Device device) : device_(device), cpu_(generator_state(c10::kCPU)) {
  if (!device_.is_cpu()) own_ = generator_state(device_);
}

void RandomState::restore() const {
  set_generator_state(c10::kCPU, cpu_);
  if (own_.defined()) set_generator_state(device_, own_);
}

}  // namespace capstan
