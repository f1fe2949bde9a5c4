// capstan train: a cache, a model and a run folder for the trainer.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "app/training_model.h"
#include "capstan/app/build.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/config/write.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/models/pretrained.h"
#include "capstan/train/freeze.h"

namespace capstan::app {
namespace {

constexpr const char* kBaseFolder = "base";

// An adapter is of use with the model under it only. Where that is in no folder yet, the run keeps a copy.
void save_base(const TrainingParts& parts, const fs::path& output) {
  const fs::path folder = output / kBaseFolder;
  if (!parts.lora || fs::path(parts.base_model) != folder || fs::exists(folder / "config.json")) return;
  save_pretrained(*parts.model, folder);
  parts.tokenizer->save(folder);
  parts.processor.save_pretrained(folder);
}

GenerationConfig generation_for(const TrainRun& run, const VisionEncoderDecoderConfig& model) {
  GenerationConfig generation = run.generation;
  generation.decoder_start_token_id = model.decoder_start_token_id;
  generation.eos_token_id = model.eos_token_id;
  generation.pad_token_id = model.pad_token_id;
  generation.bos_token_id = model.bos_token_id;
  return generation;
}

TrainingParts build_parts(const TrainRun& run) {
  TrainingParts parts;
  parts.device = parse_device(run.device);
  const auto train = std::make_shared<const Cache>(run.data, "train");
  const auto splits = Cache::splits(run.data);
  if (std::find(splits.begin(), splits.end(), "validation") != splits.end())
    parts.validation = std::make_shared<const Cache>(run.data, "validation");
  parts.train = train;
  parts.tokenizer = train->tokenizer();
  parts.processor = ImageProcessor(train->processor());
  TrainingModel made = make_training_model(run, *parts.tokenizer, train->processor());
  parts.model = std::move(made.model);
  if (run.model.lora.r > 0) parts.lora = run.model.lora;
  parts.base_model = made.base.empty() ? (fs::path(run.output) / kBaseFolder).string() : made.base;
  parts.generation = generation_for(run, parts.model->config());
  return parts;
}

}  // namespace

TrainResult run_train(const TrainRun& run, bool dry_run) {
  if (run.num_threads > 0) at::set_num_threads(run.num_threads);
  TrainingParts parts = build_parts(run);
  const TrainingParts kept = parts;
  Trainer trainer(run.train, std::move(parts));  // refuses parts that do not fit each other
  log_info(trainable_text(count_parameters(*kept.model)));
  if (dry_run) {
    log_info(fmt::format("dry run: {} captions of {} images, {} updates, to {}", kept.train->num_captions(),
                         kept.train->num_images(), trainer.num_steps(), run.output));
    return {};
  }
  RunDir directory(run.output);
  trainer.restore(directory, run.resume);
  save_base(kept, run.output);
  directory.write_config(config::to_yaml(run));
  return trainer.fit(directory);
}

}  // namespace capstan::app
