// Fine-tuning from start, or from where it stopped, to the end:
//
//   RunDir directory("checkpoints/scenes");
//   Trainer trainer(config, std::move(parts));
//   trainer.restore(directory, "auto");
//   TrainResult result = trainer.fit(directory);
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/data/cache.h"
#include "capstan/data/loader.h"
#include "capstan/data/sampler.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/adapters.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"
#include "capstan/train/config.h"
#include "capstan/train/schedule.h"
#include "capstan/train/state.h"
#include "capstan/train/step.h"
#include "capstan/train/telemetry.h"

namespace capstan {

struct TrainingParts {
  std::shared_ptr<VisionEncoderDecoder> model;
  std::shared_ptr<const Cache> train;
  std::shared_ptr<const Cache> validation;  // null: no evaluation during training
  std::shared_ptr<const Tokenizer> tokenizer;
  ImageProcessor processor;
  GenerationConfig generation;
  c10::Device device = c10::kCPU;
  std::optional<LoraConfig> lora;  // of the adapter that the model has
  std::string base_model;          // what its files say about the model it belongs to
};

struct TrainResult {
  std::int64_t step = 0;
  std::optional<double> best_metric;
  std::filesystem::path checkpoint;       // the last one
  std::filesystem::path best_checkpoint;  // the last one where there was no evaluation
  double captions_per_second = 0;         // of this process, evaluation and saving included
  double seconds = 0;
  bool stopped = false;  // a signal came before the last step
};

class Trainer {
 public:
  // Freezes what the configuration says, moves the model to the device and seeds torch's generators. ConfigError or
  // DataError when the parts do not fit together: no captions, pictures of another size than the encoder takes,
  // captions longer than the decoder takes.
  Trainer(TrainerConfig config, TrainingParts parts);

  // `resume`: "auto" goes on from the newest whole checkpoint where there is one; "never" refuses a run that has
  // checkpoints (DataError); anything else is the path of the checkpoint to go on from.
  void restore(RunDir& directory, const std::string& resume);
  // Trains to the last step or until a stop is requested (core/signals.h), saving as configured and at the end.
  TrainResult fit(RunDir& directory);

  const TrainerState& state() const { return state_; }
  std::int64_t num_steps() const { return num_steps_; }

 private:
  StepResult take_step();
  void evaluate_now(RunDir& directory);
  void save(RunDir& directory);
  void load(const std::filesystem::path& checkpoint);
  void load_weights(const std::filesystem::path& checkpoint);
  void check_parts() const;
  std::unique_ptr<Loader> make_loader() const;
  // Places that will ask all processes once there is more than one.
  bool should_stop() const;
  bool evaluation_due(std::int64_t position_before) const;
  bool saving_due() const;
  TrainResult result(const RunDir& directory, double seconds) const;

  TrainerConfig config_;
  TrainingParts parts_;
  Collator collator_;
  std::shared_ptr<const Sampler> sampler_;
  std::shared_ptr<const Augmentation> augmentation_;
  UpdateStep update_;
  RunIdentity identity_;
  std::int64_t num_steps_;
  ScheduleOptions schedule_;
  TrainerState state_;
  std::int64_t saved_step_ = -1;
  std::unique_ptr<Loader> loader_;        // while fit() runs
  std::unique_ptr<Telemetry> telemetry_;  // while fit() runs
};

}  // namespace capstan
