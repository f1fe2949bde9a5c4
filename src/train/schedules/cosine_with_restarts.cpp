// get_cosine_with_hard_restarts_schedule_with_warmup of transformers.
#include <cmath>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double cosine_with_restarts(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  const double progress = decay_progress(step, options);
  if (progress >= 1) return 0;
  return cosine_wave(std::fmod(options.kwargs.num_cycles.value_or(1) * progress, 1.0), 0.5);
}

}  // namespace

ScheduleEntry cosine_with_restarts_schedule() {
  return {.name = "cosine_with_restarts",
          .summary = "Warmup, then num_cycles times half a cosine wave from the peak down to 0.",
          .factor = cosine_with_restarts,
          .kwargs = {"num_cycles"}};
}

}  // namespace capstan
