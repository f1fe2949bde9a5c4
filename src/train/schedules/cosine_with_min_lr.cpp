// get_cosine_with_min_lr_schedule_with_warmup of transformers.
#include <fmt/format.h>

#include <algorithm>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double cosine_with_min_lr(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  const ScheduleKwargs& kwargs = options.kwargs;
  const double lowest = kwargs.min_lr ? *kwargs.min_lr / options.learning_rate : kwargs.min_lr_rate.value_or(0);
  const double wave = cosine_wave(decay_progress(step, options), kwargs.num_cycles.value_or(0.5));
  return std::max(0.0, wave * (1 - lowest) + lowest);
}

void check(const ScheduleKwargs& kwargs, double learning_rate, std::vector<std::string>& problems) {
  if (kwargs.min_lr.has_value() == kwargs.min_lr_rate.has_value())
    problems.push_back(
        fmt::format("lr_scheduler_kwargs: found {} min_lr and min_lr_rate; the schedule cosine_with_min_lr needs one "
                    "of them, the lowest rate or its share of learning_rate",
                    kwargs.min_lr ? "both" : "neither"));
  if (kwargs.min_lr && (*kwargs.min_lr > learning_rate || learning_rate <= 0))
    problems.push_back(fmt::format(
        "lr_scheduler_kwargs.min_lr: found {}, expected at most learning_rate, which is {} and must be above 0",
        *kwargs.min_lr, learning_rate));
}

}  // namespace

ScheduleEntry cosine_with_min_lr_schedule() {
  return {.name = "cosine_with_min_lr",
          .summary = "Warmup, then half a cosine wave down to min_lr, or to min_lr_rate of the peak.",
          .factor = cosine_with_min_lr,
          .kwargs = {"num_cycles", "min_lr", "min_lr_rate"},
          .check = check};
}

}  // namespace capstan
