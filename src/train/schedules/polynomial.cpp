// get_polynomial_decay_schedule_with_warmup of transformers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "capstan/train/schedule.h"

namespace capstan {
namespace {

constexpr double kEnd = 1e-7;

double polynomial(std::int64_t step, const ScheduleOptions& options) {
  if (step < options.num_warmup_steps) return warmup_factor(step, options);
  const double first = options.learning_rate, last = options.kwargs.lr_end.value_or(kEnd);
  if (step > options.num_training_steps) return last / first;
  const double remaining = 1 - decay_progress(step, options);
  return ((first - last) * std::pow(remaining, options.kwargs.power.value_or(1)) + last) / first;
}

void check(const ScheduleKwargs& kwargs, double learning_rate, std::vector<std::string>& problems) {
  const double last = kwargs.lr_end.value_or(kEnd);
  if (last >= learning_rate)
    problems.push_back(
        fmt::format("lr_scheduler_kwargs.lr_end: found {}{}, expected less than learning_rate, which is {}", last,
                    kwargs.lr_end ? "" : " (it is not given)", learning_rate));
}

}  // namespace

ScheduleEntry polynomial_schedule() {
  return {.name = "polynomial",
          .summary = "Warmup, then down to the rate lr_end along a polynomial of degree power.",
          .factor = polynomial,
          .kwargs = {"lr_end", "power"},
          .check = check};
}

}  // namespace capstan
