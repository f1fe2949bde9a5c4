// A run's folder:
//   RUN/config.yaml              the resolved configuration
//   RUN/metrics.jsonl            one JSON object per log line
//   RUN/checkpoint-<step>/       complete Hugging Face folders with trainer state and manifest.json
// Checkpoints appear and vanish whole: they are built and removed under a hidden name.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

struct CheckpointInfo {
  std::filesystem::path path;
  std::int64_t step = 0;
};

// One process trains into a run at a time. save_checkpoint() and rotate() may be called by another thread than the
// rest.
class RunDir {
 public:
  // Creates the folder where needed and removes what an earlier crash left half-written. `writes`: false for a process
  // that only reads what another one writes, which leaves everything as it is.
  explicit RunDir(std::filesystem::path root, bool writes = true);

  const std::filesystem::path& path() const { return root_; }
  std::filesystem::path checkpoint_path(std::int64_t step) const;
  bool contains(const std::filesystem::path& checkpoint) const;  // whether it is one of this run's

  // Makes `build` fill a temporary folder, adds the manifest, syncs and renames it to checkpoint-<step>.
  // A checkpoint of the same step is replaced. When `build` throws, the run is as before.
  void save_checkpoint(std::int64_t step, const std::function<void(const std::filesystem::path&)>& build);

  // The newest checkpoint whose files are all as written; damaged ones are reported as warnings and passed over.
  std::optional<CheckpointInfo> newest_valid() const;
  // Renames checkpoints after `step` to "checkpoint-<n>.superseded": the run goes on from `step` without them.
  void set_aside_after(std::int64_t step);
  // Removes the oldest checkpoints beyond the newest `limit` (0: none), never `keep` (a folder name, may be empty) nor
  // those of the steps `for_good`, which do not count either.
  void rotate(std::int64_t limit, const std::string& keep, std::span<const std::int64_t> for_good = {});

  void write_config(std::string_view yaml);
  void write_metrics(std::span<const std::string> lines);  // replaces metrics.jsonl
  void append_metrics(const std::string& line);            // one JSON object without newline

 private:
  std::filesystem::path root_;
};

// Checkpoints of a run folder by step, damaged ones included. Empty when there are none or no such folder.
std::vector<CheckpointInfo> list_checkpoints(const std::filesystem::path& run);

// CheckpointError listing each file that is missing or altered.
void require_valid_checkpoint(const std::filesystem::path& checkpoint);

// The model folder that `path` means: itself when it holds a config.json, else the best checkpoint of a run, or its
// newest valid one; of a run in stages those of the last stage that has any. CheckpointError says what was looked for.
std::filesystem::path resolve_model_directory(const std::filesystem::path& path);

}  // namespace capstan
