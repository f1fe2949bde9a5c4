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
#include "capstan/parallel/world.h"
#include "capstan/train/config.h"
#include "capstan/train/guard.h"

namespace capstan {

// Sums since the last line of metrics.jsonl.
struct LogWindow {
  double loss = 0;
  double seconds = 0;       // of updates, the wait for data included
  double wait_seconds = 0;  // for data
  std::int64_t steps = 0;   // that were not skipped
  std::int64_t captions = 0;
  std::int64_t images = 0;
  std::int64_t tokens = 0;
  double flops = 0;
};

struct EarlyStoppingState {
  std::optional<double> best;
  std::int64_t waited = 0;  // evaluations since it was that good
};

struct TrainerState {
  std::int64_t global_step = 0;  // updates done
  std::int64_t position = 0;     // samples taken from the sampler, over all processes
  std::int64_t tokens = 0;       // labels trained on
  double seconds = 0;            // of training, over all starts
  GuardState guard;
  std::vector<EarlyStoppingState> early_stopping;  // as many as the configuration has
  std::string ended;                               // why training ended before its last step; empty while it goes on
  std::optional<double> best_metric;
  std::string best_model_checkpoint;  // folder name inside the run; empty before the first evaluation
  LogWindow window;
  std::vector<std::int64_t> kept;        // steps whose checkpoints stay for good
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

// Text of trainer_state.json, with the names that Hugging Face's Trainer uses for the same things.
std::string trainer_state_text(const TrainerState& state, const RunIdentity& identity, const TrainerConfig& config,
                               std::int64_t num_steps);
// CheckpointError when the file is missing, broken, or of a run with another model or other data.
TrainerState load_trainer_state(const RunIdentity& expected, const std::filesystem::path& directory);

// rng_state.safetensors: the generators of every process, of the CPU ("cpu.<rank>") and of its device
// ("device.<rank>"), which dropout draws from. All processes call it; the main one gets all of them.
TensorMap random_states(c10::Device device, const World& world);
// Sets this process's generators to what the file has for it. Where another number of processes wrote it, they start
// afresh from `seed`.
void load_random_states(c10::Device device, const World& world, std::uint64_t seed,
                        const std::filesystem::path& directory);

}  // namespace capstan
