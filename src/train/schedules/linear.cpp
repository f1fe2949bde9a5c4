// get_linear_schedule_with_warmup of transformers.
#include <algorithm>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double linear(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  const auto span = std::max<std::int64_t>(1, options.num_training_steps - options.num_warmup_steps);
  return std::max(0.0, static_cast<double>(options.num_training_steps - step) / static_cast<double>(span));
}

}  // namespace

ScheduleEntry linear_schedule() {
  return {.name = "linear", .summary = "Warmup, then a straight line to 0 at the last update.", .factor = linear};
}

}  // namespace capstan
