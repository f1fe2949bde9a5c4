#include "capstan/train/schedule.h"

#include <algorithm>

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

double warmup_factor(std::int64_t step, const ScheduleOptions& options) {
  return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, options.num_warmup_steps));
}

}  // namespace capstan
