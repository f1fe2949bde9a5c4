#include "capstan/train/checkpoint_writer.h"

#include <fmt/format.h>

#include <memory>

#include "capstan/core/log.h"

namespace capstan {

CheckpointWriter::~CheckpointWriter() {
  try {
    finish();
  } catch (const std::exception& error) {
    log_warning(fmt::format("a checkpoint could not be written: {}", error.what()));
  }
}

void CheckpointWriter::save(std::int64_t step, Snapshot snapshot, RotationRule rule) {
  finish();
  if (!in_background_) return write(step, snapshot, rule);
  detach_snapshot(snapshot);
  job_ = std::async(std::launch::async,
                    [this, step, rule = std::move(rule), snapshot = std::make_shared<Snapshot>(std::move(snapshot))] {
                      fetch_snapshot(*snapshot);
                      write(step, *snapshot, rule);
                    });
}

void CheckpointWriter::finish() {
  if (job_.valid()) job_.get();
}

void CheckpointWriter::look() {
  if (job_.valid() && job_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) job_.get();
}

void CheckpointWriter::write(std::int64_t step, const Snapshot& snapshot, const RotationRule& rule) {
  directory_.save_checkpoint(step, [&](const std::filesystem::path& folder) { write_snapshot(snapshot, folder); });
  directory_.rotate(rule.limit, rule.best, rule.for_good);
}

}  // namespace capstan
