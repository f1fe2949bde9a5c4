// get_cosine_schedule_with_warmup of transformers with its default half wave.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double cosine(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  const auto span = std::max<std::int64_t>(1, options.num_training_steps - options.num_warmup_steps);
  const double progress = static_cast<double>(step - options.num_warmup_steps) / static_cast<double>(span);
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

}  // namespace

ScheduleEntry cosine_schedule() {
  return {.name = "cosine", .summary = "Warmup, then half a cosine wave down to 0.", .factor = cosine};
}

}  // namespace capstan
