// Runs of a captioner that is trained within a second.
#pragma once
#include <nlohmann/json.hpp>
#include <sstream>

#include "capstan/core/files.h"
#include "capstan/train/trainer.h"
#include "support/tiny_training.h"

namespace capstan::testing {

// One prepared cache for all tests of this file.
inline const fs::path& cache_directory() {
  static const TempDir temp;
  static const fs::path path = tiny_cache(temp.path());
  return path;
}

inline TrainerConfig tiny_config(std::int64_t max_steps) {
  TrainerConfig config;
  config.per_device_train_batch_size = 4;
  config.max_steps = max_steps;
  config.learning_rate = 5e-3;
  config.warmup_steps = 3;
  config.weight_decay = 0.01;
  config.max_tokens = 16;
  config.logging_steps = "5";
  config.save_steps = "0";
  config.eval_strategy = "no";
  return config;
}

// Parts with dropout, so that random state matters.
inline TrainingParts tiny_parts(double dropout = 0.1, std::int64_t hidden_size = 16) {
  TrainingParts parts;
  auto config = tiny_model_config(dropout);
  config.encoder.hidden_size = static_cast<int>(hidden_size);
  parts.model = create_model(config, 11);
  parts.train = std::make_shared<const Cache>(cache_directory(), "train");
  parts.validation = std::make_shared<const Cache>(cache_directory(), "validation");
  parts.tokenizer = parts.train->tokenizer();
  parts.processor = ImageProcessor(parts.train->processor());
  parts.generation = {.max_new_tokens = 12, .decoder_start_token_id = 256, .eos_token_id = 256, .pad_token_id = 256};
  return parts;
}

inline TrainResult train(const TrainerConfig& config, const fs::path& run, const std::string& resume = "auto") {
  RunDir directory(run);
  Trainer trainer(config, tiny_parts());
  trainer.restore(directory, resume);
  return trainer.fit(directory);
}

inline std::string weights(const fs::path& checkpoint) { return read_file(checkpoint / "model.safetensors"); }

inline std::vector<nlohmann::json> metrics_of(const fs::path& run) {
  std::vector<nlohmann::json> lines;
  std::istringstream file(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::vector<std::string> checkpoint_names(const fs::path& run) {
  std::vector<std::string> names;
  for (const auto& checkpoint : list_checkpoints(run)) names.push_back(checkpoint.path.filename().string());
  return names;
}

using Names = std::vector<std::string>;

}  // namespace capstan::testing
