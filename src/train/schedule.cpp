#include "capstan/train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "capstan/core/strings.h"

namespace capstan {

#define CAPSTAN_SCHEDULE(name) ScheduleEntry name##_schedule();
#include "train/schedules.def"
#undef CAPSTAN_SCHEDULE

const Registry<ScheduleEntry>& schedules() {
  static const Registry<ScheduleEntry> registry = [] {
    Registry<ScheduleEntry> list("learning rate schedule");
#define CAPSTAN_SCHEDULE(name) list.add(name##_schedule());
#include "train/schedules.def"
#undef CAPSTAN_SCHEDULE
    return list;
  }();
  return registry;
}

namespace {

// Collects the names of the options that were given.
struct GivenKeys {
  template <class T>
  void operator()(const char* key, const std::optional<T>& value, const char*, const Limits& = {}) {
    if (value) keys.emplace_back(key);
  }
  std::vector<std::string> keys{};
};

}  // namespace

void check_schedule_kwargs(const std::string& name, const ScheduleKwargs& kwargs, std::vector<std::string>& problems,
                           double learning_rate) {
  if (!schedules().contains(name)) return;
  const ScheduleEntry& entry = schedules().find(name);
  GivenKeys given;
  ScheduleKwargs(kwargs).fields(given);
  for (const std::string& key : given.keys) {
    if (std::find(entry.kwargs.begin(), entry.kwargs.end(), key) != entry.kwargs.end()) continue;
    problems.push_back(fmt::format("lr_scheduler_kwargs.{}: the schedule {} does not take it; it takes {}", key, name,
                                   entry.kwargs.empty() ? "no options" : join(entry.kwargs, ", ")));
  }
  if (entry.check != nullptr) entry.check(kwargs, learning_rate, problems);
}

double warmup_factor(std::int64_t step, const ScheduleOptions& options) {
  return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, options.num_warmup_steps));
}

double decay_progress(std::int64_t step, const ScheduleOptions& options) {
  const auto span = std::max<std::int64_t>(1, options.num_training_steps - options.num_warmup_steps);
  return static_cast<double>(step - options.num_warmup_steps) / static_cast<double>(span);
}

double cosine_wave(double progress, double num_cycles) {
  return 0.5 * (1.0 + std::cos(std::numbers::pi * num_cycles * 2.0 * progress));
}

}  // namespace capstan
