// Fine-tuning from start, or from where it stopped, to the end:
//
//   RunDir directory("checkpoints/scenes");
//   Trainer trainer(config, std::move(parts));
//   trainer.restore(directory, "auto");
//   TrainResult result = trainer.fit(directory);
//
// With several processes each has a trainer, and all call the same functions; the main one (rank 0) writes.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/data/cache.h"
#include "capstan/data/loader.h"
#include "capstan/data/sampler.h"
#include "capstan/generate/options.h"
#include "capstan/image/transform.h"
#include "capstan/models/adapters.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/parallel/world.h"
#include "capstan/train/checkpoint_writer.h"
#include "capstan/train/config.h"
#include "capstan/train/device_feed.h"
#include "capstan/train/event_hook.h"
#include "capstan/train/guard.h"
#include "capstan/train/period.h"
#include "capstan/train/profiler.h"
#include "capstan/train/schedule.h"
#include "capstan/train/state.h"
#include "capstan/train/step.h"
#include "capstan/train/telemetry.h"
#include "capstan/train/throughput.h"

namespace capstan {

struct TrainingParts {
  std::shared_ptr<VisionEncoderDecoder> model;
  std::shared_ptr<const Cache> train;
  std::shared_ptr<const Cache> validation;  // null: no evaluation during training
  std::shared_ptr<const Tokenizer> tokenizer;
  ImageProcessor processor;
  GenerationConfig generation;
  c10::Device device = c10::kCPU;
  std::optional<LoraConfig> lora;      // of the adapter that the model has
  std::string base_model;              // what its files say about the model it belongs to
  std::shared_ptr<const World> world;  // null: this process is alone
  ParallelConfig parallel;
  std::string configuration;  // the resolved configuration as YAML, kept in checkpoints
};

struct TrainResult {
  std::int64_t step = 0;
  std::optional<double> best_metric;
  std::filesystem::path checkpoint;       // the last one
  std::filesystem::path best_checkpoint;  // the last one where there was no evaluation
  double samples_per_second = 0;          // of this start, evaluation and saving included
  double seconds = 0;
  bool stopped = false;  // a signal came before the last step
  std::string ended;     // why it ended before the last step without a signal: "max_time" or "early_stopping"
};

class Trainer {
 public:
  // Freezes what the configuration says, moves the model to the device, gives all processes the same weights and seeds
  // torch's generators. ConfigError or DataError when the parts do not fit together: no captions, pictures of another
  // size than the encoder takes, captions longer than the decoder takes.
  Trainer(TrainerConfig config, TrainingParts parts);
  ~Trainer();

  // `resume`: "auto" goes on from the newest whole checkpoint where there is one; "never" refuses a run that has
  // checkpoints (DataError); anything else is the path of the checkpoint to go on from.
  void restore(RunDir& directory, const std::string& resume);
  // Trains to the last step or until a stop is requested (core/signals.h), saving as configured and at the end. A
  // checkpoint that cannot be written is reported and training goes on; only the last one is an error.
  TrainResult fit(RunDir& directory);

  const TrainerState& state() const { return state_; }
  std::int64_t num_steps() const { return num_steps_; }
  const TrainerConfig& config() const { return config_; }

 private:
  struct Periods {
    Period logging, evaluation, saving, keeping;
    double max_seconds = 0;  // 0: no bound
  };
  struct Taken {  // an update whose outcome may still be on the device
    PendingStep outcome;
    std::int64_t step = 0;
    double seconds = 0, wait_seconds = 0;
  };

  void check_parts() const;
  void shrink_batch();
  std::unique_ptr<DeviceFeed> make_feed() const;
  TrainingPoint point() const;
  bool done() const;

  bool take_step();  // false: the end was asked for before it
  void settle();     // looks at the outcome of the last update
  void judge(const StepResult& result, std::int64_t step);
  void after_step(const TrainingPoint& before);
  void handle_too_many_skips();
  bool evaluation_due(const TrainingPoint& before, const TrainingPoint& now) const;
  void evaluate_now();
  void note_best(const std::map<std::string, double>& scores);
  void stop_early(const std::map<std::string, double>& scores);
  void roll_back();

  Snapshot take_snapshot();
  void save();
  RotationRule rotation() const;
  void look_after_writer(bool wait);  // takes note of a checkpoint that could not be written
  void note_failed_save(const std::exception& error);
  void save_last();
  void load(const std::filesystem::path& checkpoint);
  void load_weights(const std::filesystem::path& checkpoint);
  void load_averages(const std::filesystem::path& checkpoint);
  TrainResult finish(double seconds);

  TrainerConfig config_;
  TrainingParts parts_;
  Collator collator_;
  std::shared_ptr<const Sampler> sampler_;
  std::shared_ptr<const Augmentation> augmentation_;
  UpdateStep update_;
  FlopCounter flops_;
  RunIdentity identity_;
  Periods periods_;
  std::int64_t num_steps_ = 0;
  ScheduleOptions schedule_;
  TrainerState state_;
  Guard guard_;
  std::int64_t saved_step_ = -1;

  // While fit() runs.
  RunDir* directory_ = nullptr;
  std::unique_ptr<DeviceFeed> feed_;
  std::unique_ptr<Telemetry> telemetry_;
  std::unique_ptr<CheckpointWriter> writer_;  // of the main process
  std::unique_ptr<EventHook> hook_;
  std::unique_ptr<StepProfiler> profiler_;
  std::optional<Taken> taken_;
  StepResult last_result_;  // of the update that was looked at last
  bool save_asked_ = false;
};

}  // namespace capstan
