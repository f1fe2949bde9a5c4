// get_inverse_sqrt_schedule of transformers.
#include <cmath>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double inverse_sqrt(std::int64_t step, const ScheduleOptions& options) {
  const std::int64_t warmup = options.num_warmup_steps;
  if (step < warmup) return warmup_factor(step, options);
  const std::int64_t timescale = options.kwargs.timescale.value_or(warmup > 0 ? warmup : 10'000);
  return 1.0 / std::sqrt(static_cast<double>(step + timescale - warmup) / static_cast<double>(timescale));
}

}  // namespace

ScheduleEntry inverse_sqrt_schedule() {
  return {.name = "inverse_sqrt",
          .summary = "Warmup, then down as 1 / sqrt(update / timescale); the end does not matter to it.",
          .factor = inverse_sqrt,
          .kwargs = {"timescale"}};
}

}  // namespace capstan
