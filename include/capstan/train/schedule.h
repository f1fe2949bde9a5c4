// How the learning rate changes over time. A schedule is a function without memory: resuming needs no state.
#pragma once
#include <cstdint>
#include <string>

#include "capstan/core/registry.h"

namespace capstan {

struct ScheduleOptions {
  std::int64_t num_warmup_steps = 0;
  std::int64_t num_training_steps = 1;
};

struct ScheduleEntry {
  std::string name;  // as lr_scheduler_type of transformers
  std::string summary;
  // Factor on the peak rate for update number `step`, counted from 0.
  double (*factor)(std::int64_t step, const ScheduleOptions& options) = nullptr;
};
const Registry<ScheduleEntry>& schedules();

// step / num_warmup_steps: what every schedule with warmup does before its own shape starts.
double warmup_factor(std::int64_t step, const ScheduleOptions& options);

}  // namespace capstan
