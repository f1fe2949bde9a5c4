// What a run's folder says, read once for reports and comparisons. Every file may be missing or torn: a trainer may be
// writing it at this moment.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capstan/report/series.h"

namespace capstan {

struct RunEvent {
  std::int64_t step = 0;
  std::string name;     // update_skipped, loss_spike, rolled_back, save_failed, ...
  std::string details;  // the other keys: "loss=12.5, limit=4"
};

struct SamplePicture {
  std::string image_id;
  std::string base64;  // of a JPEG; empty when samples.json holds something else
  std::vector<std::string> references;
};

struct SampleCaptions {
  std::int64_t step = 0;
  std::vector<std::string> captions;  // one for each picture
};

struct RunCheckpoint {
  std::string name;
  std::int64_t step = 0;
  std::uint64_t bytes = 0;
};

struct BestCheckpoint {
  std::string name;
  std::string metric;
  double value = 0;
};

struct RunData {
  std::filesystem::path path;
  std::int64_t last_step = 0;
  double last_epoch = 0;
  std::int64_t max_steps = 0;            // 0: not known
  std::map<std::string, Series> series;  // by key of the training lines: loss, learning_rate, grad_norm, ...
  std::map<std::string, Series> scores;  // of the evaluations, without "eval_"
  std::vector<RunEvent> events;
  std::vector<SamplePicture> pictures;
  std::vector<SampleCaptions> captions;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string config;  // text of config.yaml
  std::vector<RunCheckpoint> checkpoints;
  std::optional<BestCheckpoint> best;
  std::vector<std::string> notes;  // files that could not be read, and why

  const Series& curve(const std::string& key) const;  // of the training lines; empty when there is none
  const Series& score(const std::string& name) const;
  // Scores but the time that evaluations took.
  std::vector<std::string> score_names() const;
};

// CheckpointError when the folder is missing or holds nothing of a run. Where steps go backwards (a run that was rolled
// back), the points that were passed twice are those of the later pass.
RunData read_run(const std::filesystem::path& run);

}  // namespace capstan
