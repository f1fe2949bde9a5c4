#include "capstan/train/guard.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace capstan {

double Guard::loss_limit() const {
  if (config_.loss_spike <= 0 || state_.count < config_.window) return std::numeric_limits<double>::infinity();
  return state_.mean + config_.loss_spike * std::sqrt(state_.variance);
}

void Guard::record(std::int64_t step, double loss, bool skipped) {
  std::erase_if(state_.recent_skips, [&](std::int64_t skip) { return skip <= step - config_.window; });
  if (skipped) {
    ++state_.skipped_in_row;
    state_.recent_skips.push_back(step);
    return;
  }
  state_.skipped_in_row = 0;
  // A true mean at first, so that the start does not weigh more than it should (West, 1979, with a fixed weight later).
  const double weight =
      std::max(2.0 / (static_cast<double>(config_.window) + 1), 1.0 / (static_cast<double>(state_.count) + 1));
  const double difference = loss - state_.mean;
  state_.mean += weight * difference;
  state_.variance = (1 - weight) * (state_.variance + weight * difference * difference);
  ++state_.count;
}

bool Guard::too_many() const {
  if (state_.skipped_in_row > config_.max_skipped_updates) return true;
  return config_.spikes_before_rollback > 0 &&
         static_cast<std::int64_t>(state_.recent_skips.size()) >= config_.spikes_before_rollback;
}

void Guard::forget() {
  state_.skipped_in_row = 0;
  state_.recent_skips.clear();
}

}  // namespace capstan
