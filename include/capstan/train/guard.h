// Tells updates that look wrong from others: a loss or gradient that is not finite, or a loss far above the usual.
#pragma once
#include <cstdint>
#include <vector>

#include "capstan/train/config.h"

namespace capstan {

// What the guard knows; part of a checkpoint.
struct GuardState {
  double mean = 0;
  double variance = 0;
  std::int64_t count = 0;                  // losses behind mean and variance
  std::int64_t skipped_in_row = 0;         // updates skipped since the last good one
  std::int64_t rollbacks = 0;              // so far
  std::vector<std::int64_t> recent_skips;  // updates of the last window that were skipped
};

class Guard {
 public:
  Guard(const GuardConfig& config, GuardState& state) : config_(config), state_(state) {}
  // Losses above it are spikes: mean + loss_spike * deviation, both exponential moving ones over `window` updates.
  // Infinite while there are too few or loss_spike is 0.
  double loss_limit() const;
  // Takes the outcome of update `step` in.
  void record(std::int64_t step, double loss, bool skipped);
  // Whether more updates were skipped than the configuration lets pass.
  bool too_many() const;
  // Forgets the skips, after a rollback.
  void forget();

 private:
  GuardConfig config_;
  GuardState& state_;
};

}  // namespace capstan
