#include "capstan/train/profiler.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include "capstan/core/log.h"

namespace capstan {

namespace profiling = torch::autograd::profiler;

StepProfiler::StepProfiler(std::filesystem::path path, std::int64_t first, std::int64_t count, bool on_gpu)
    : path_(std::move(path)), first_(first), last_(first + count - 1), on_gpu_(on_gpu) {}

StepProfiler::~StepProfiler() {
  if (running_) profiling::disableProfiler();
}

void StepProfiler::before_step(std::int64_t step) {
  if (step != first_) return;
  const profiling::ProfilerConfig config(profiling::ProfilerState::KINETO, /*report_input_shapes=*/true,
                                         /*profile_memory=*/true);
  std::set<profiling::ActivityType> activities{profiling::ActivityType::CPU};
  if (on_gpu_) activities.insert(profiling::ActivityType::CUDA);
  profiling::prepareProfiler(config, activities);
  profiling::enableProfiler(config, activities);
  running_ = true;
}

void StepProfiler::after_step(std::int64_t step) {
  if (!running_ || step < last_) return;
  running_ = false;
  profiling::disableProfiler()->save(path_.string());
  log_info(fmt::format("{}: trace of updates {} to {}; open it in ui.perfetto.dev", path_.string(), first_, last_));
}

}  // namespace capstan
