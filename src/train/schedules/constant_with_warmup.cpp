// get_constant_schedule_with_warmup of transformers.
#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double constant_with_warmup(std::int64_t step, const ScheduleOptions& options) {
  return step < options.num_warmup_steps ? warmup_factor(step, options) : 1.0;
}

}  // namespace

ScheduleEntry constant_with_warmup_schedule() {
  return {.name = "constant_with_warmup", .summary = "Warmup, then the same rate.", .factor = constant_with_warmup};
}

}  // namespace capstan
