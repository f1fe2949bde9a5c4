// get_constant_schedule of transformers.
#include "capstan/train/schedule.h"

namespace capstan {
namespace {

double constant(std::int64_t, const ScheduleOptions&) { return 1.0; }

}  // namespace

ScheduleEntry constant_schedule() {
  return {
      .name = "constant", .summary = "The same rate from the first update on; warmup is not used.", .factor = constant};
}

}  // namespace capstan
