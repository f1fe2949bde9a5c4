// What a training run remembers besides weights and optimizer: enough to go on as if it had never stopped.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capstan/data/cache.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/train/config.h"

namespace capstan {

// Sums since the last line of metrics.jsonl.
struct LogWindow {
  double loss = 0;
  double seconds = 0;
  std::int64_t steps = 0;
  std::int64_t captions = 0;
};

struct TrainerState {
  std::int64_t global_step = 0;     // updates done
  std::int64_t position = 0;        // captions taken from the sampler
  std::int64_t skipped_in_row = 0;  // updates skipped since the last good one
  std::optional<double> best_metric;
  std::string best_model_checkpoint;  // folder name inside the run; empty before the first evaluation
  LogWindow window;
  std::vector<std::string> log_history;  // the lines of metrics.jsonl up to this step
};

// What must be the same for a run to continue: a changed model or changed data would silently train something else.
struct RunIdentity {
  std::string model;             // digest of parameter names and shapes
  std::string data;              // digest of picture names and captions
  std::int64_t num_samples = 0;  // in an epoch
  std::string adapter;           // digest of a LoRA adapter's shape and of the weights under it; empty without one
};
RunIdentity run_identity(const VisionEncoderDecoder& model, const Cache& cache, std::int64_t num_samples);

// trainer_state.json, with the names that Hugging Face's Trainer uses for the same things.
void save_trainer_state(const TrainerState& state, const RunIdentity& identity, const TrainerConfig& config,
                        std::int64_t num_steps, const std::filesystem::path& directory);
// CheckpointError when the file is missing, broken, or of a run with another model or other data.
TrainerState load_trainer_state(const RunIdentity& expected, const std::filesystem::path& directory);

// rng_state.safetensors: the generators of the CPU and of `device`, which dropout draws from.
void save_random_state(c10::Device device, const std::filesystem::path& directory);
void load_random_state(c10::Device device, const std::filesystem::path& directory);

}  // namespace capstan
