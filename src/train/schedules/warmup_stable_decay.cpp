// get_wsd_schedule of transformers.
#include <algorithm>
#include <cmath>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double rise(const std::string& type, double progress) {
  if (type == "cosine") return 1 - cosine_wave(progress, 0.5);
  if (type == "1-sqrt") return 1 - std::sqrt(1 - progress);
  return progress;
}

double fall(const std::string& type, double progress, double num_cycles) {
  if (type == "linear") return 1 - progress;
  if (type == "1-sqrt") return 1 - std::sqrt(progress);
  return cosine_wave(progress, num_cycles);
}

double warmup_stable_decay(std::int64_t step, const ScheduleOptions& options) {
  const ScheduleKwargs& kwargs = options.kwargs;
  const double lowest = kwargs.min_lr_ratio.value_or(0);
  const auto above_lowest = [lowest](double factor) { return std::max(0.0, factor * (1 - lowest) + lowest); };
  const std::int64_t warmup = options.num_warmup_steps, decay = kwargs.num_decay_steps.value_or(0);
  const std::int64_t stable = kwargs.num_stable_steps.value_or(options.num_training_steps - warmup - decay);
  if (step < warmup) return above_lowest(rise(kwargs.warmup_type.value_or("linear"), warmup_factor(step, options)));
  if (step < warmup + stable) return 1;
  if (step >= warmup + stable + decay) return lowest;
  const double progress = static_cast<double>(step - warmup - stable) / static_cast<double>(decay);
  return above_lowest(fall(kwargs.decay_type.value_or("cosine"), progress, kwargs.num_cycles.value_or(0.5)));
}

void check(const ScheduleKwargs& kwargs, double, std::vector<std::string>& problems) {
  if (!kwargs.num_decay_steps)
    problems.emplace_back(
        "lr_scheduler_kwargs.num_decay_steps: is not given; the schedule warmup_stable_decay needs to know how many "
        "updates at the end the rate falls");
}

}  // namespace

ScheduleEntry warmup_stable_decay_schedule() {
  return {.name = "warmup_stable_decay",
          .summary = "Warmup, then the peak, then down to min_lr_ratio of it in the last num_decay_steps updates.",
          .factor = warmup_stable_decay,
          .kwargs = {"num_stable_steps", "num_decay_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles"},
          .check = check};
}

}  // namespace capstan
