// Checkpoints written while training goes on.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/train/snapshot.h"

namespace capstan {

// What is kept when old checkpoints go.
struct RotationRule {
  std::int64_t limit = 3;                // newest ones; 0: all
  std::string best;                      // a folder's name
  std::vector<std::int64_t> for_good{};  // steps
};

class CheckpointWriter {
 public:
  CheckpointWriter(RunDir& directory, bool in_background) : directory_(directory), in_background_(in_background) {}
  ~CheckpointWriter();  // finishes what is under way; a failure then is only a warning

  // Writes checkpoint-<step>, then removes old ones by `rule`. Waits for the one before to be finished first. In the
  // background the tensors are copied before this returns.
  void save(std::int64_t step, Snapshot snapshot, RotationRule rule);
  // Waits for what is under way. A failure (a full disk) is thrown once, here or by the next save().
  void finish();
  // As finish(), when that needs no waiting; else nothing happens.
  void look();

 private:
  void write(std::int64_t step, const Snapshot& snapshot, const RotationRule& rule);
  RunDir& directory_;
  bool in_background_;
  std::future<void> job_;
};

}  // namespace capstan
