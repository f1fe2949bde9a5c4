#include "nn/step_graph.h"

#include <cstdlib>
#include <string_view>

#include "capstan/core/error.h"

#ifdef CAPSTAN_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace capstan {

#ifdef CAPSTAN_CUDA

namespace {

constexpr int kWarmups = 2;  // libraries choose their algorithms and take their workspaces in the first runs

class CudaStepGraph final : public StepGraph {
 public:
  CudaStepGraph(c10::Device device, const std::function<at::Tensor()>& work, const CudaStepGraph* beside)
      : device_(device) {
    const c10::cuda::CUDAGuard on_device(device_);
    const c10::cuda::CUDAStream before = c10::cuda::getCurrentCUDAStream(device_.index());
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device_.index());
    before.synchronize();  // what was staged is there
    {
      const c10::cuda::CUDAStreamGuard guard(stream);  // recording is not possible on the default stream
      for (int i = 0; i < kWarmups; ++i) work();
      stream.synchronize();
      // Other threads may go on copying and allocating meanwhile.
      graph_.capture_begin(beside != nullptr ? beside->graph_.pool() : at::cuda::MempoolId_t{0, 0},
                           cudaStreamCaptureModeThreadLocal);
      result_ = work();
      graph_.capture_end();
    }
    stream.synchronize();
  }
  const at::Tensor& replay() override {
    const c10::cuda::CUDAGuard on_device(device_);
    graph_.replay();
    return result_;
  }

 private:
  c10::Device device_;
  mutable at::cuda::CUDAGraph graph_;  // asking for its pool is no const function
  at::Tensor result_;
};

}  // namespace

bool can_record_steps(c10::Device device) {
  const char* const wanted = std::getenv("CAPSTAN_CUDA_GRAPHS");
  return device.is_cuda() && (wanted == nullptr || std::string_view(wanted) != "0");
}

std::unique_ptr<StepGraph> record_step(c10::Device device, const std::function<at::Tensor()>& work,
                                       const StepGraph* beside) {
  CAPSTAN_ASSERT(can_record_steps(device));
  return std::make_unique<CudaStepGraph>(device, work, dynamic_cast<const CudaStepGraph*>(beside));
}

#else

bool can_record_steps(c10::Device) { return false; }

std::unique_ptr<StepGraph> record_step(c10::Device device, const std::function<at::Tensor()>&, const StepGraph*) {
  CAPSTAN_ASSERT(can_record_steps(device));
  return nullptr;
}

#endif

}  // namespace capstan
