// Device work that is recorded once and replayed with one call.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace capstan {

class StepGraph {
 public:
  virtual ~StepGraph() = default;
  // Does the work again on what now lies at the same addresses, on the device's current stream. The result is
  // overwritten by the next call.
  virtual const at::Tensor& replay() = 0;
};

// Whether this program was built with CUDA and `device` is a GPU. CAPSTAN_CUDA_GRAPHS=0 says no.
bool can_record_steps(c10::Device device);
// `work` must launch the same operations on the same addresses each time, without waiting for the device. It is run
// several times before it is recorded. `beside` is a recording that is never replayed at the same time: the two then
// share the memory of what is between. AssertionError where can_record_steps() says no.
std::unique_ptr<StepGraph> record_step(c10::Device device, const std::function<at::Tensor()>& work,
                                       const StepGraph* beside = nullptr);

}  // namespace capstan
