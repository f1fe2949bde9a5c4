// get_cosine_schedule_with_warmup of transformers.
#include <algorithm>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double cosine(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  return std::max(0.0, cosine_wave(decay_progress(step, options), options.kwargs.num_cycles.value_or(0.5)));
}

}  // namespace

ScheduleEntry cosine_schedule() {
  return {.name = "cosine",
          .summary = "Warmup, then half a cosine wave down to 0.",
          .factor = cosine,
          .kwargs = {"num_cycles"}};
}

}  // namespace capstan
