// capstan train: a cache, a model and a run folder for the trainer.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "capstan/app/build.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/config/write.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/random.h"
#include "capstan/models/pretrained.h"

namespace capstan::app {
namespace {

// The tokenizer decides what a fresh decoder reads and how captions end.
VisionEncoderDecoderConfig fresh_config(const ModelSection& section, const Tokenizer& tokenizer,
                                        const ImageProcessorConfig& image) {
  VisionEncoderDecoderConfig config;
  config.encoder = section.encoder;
  config.encoder.image_size = image.size;
  config.decoder = section.decoder;
  config.decoder.vocab_size = static_cast<int>(tokenizer.vocab_size());
  const auto eos = tokenizer.eos_token_id();
  if (!eos) throw DataError("the tokenizer of the cache has no end token; a captioner needs one to stop");
  config.eos_token_id = *eos;
  config.bos_token_id = tokenizer.bos_token_id().value_or(*eos);
  config.pad_token_id = tokenizer.pad_token_id().value_or(*eos);
  config.decoder_start_token_id = config.bos_token_id;
  std::vector<std::string> problems;
  config.encoder.check(problems);
  config.decoder.check(problems);
  if (!problems.empty()) throw ConfigError("model: " + join(problems, "; "));
  return config;
}

void report_new_parameters(const LoadReport& report) {
  if (report.newly_initialized.empty()) return;
  log_info(fmt::format("{} parameters start fresh, they were in neither folder:", report.newly_initialized.size()));
  for (const auto& name : report.newly_initialized) log_info("  " + name);
}

std::shared_ptr<VisionEncoderDecoder> make_model(const TrainRun& run, const Tokenizer& tokenizer,
                                                 const ImageProcessorConfig& image) {
  if (!run.model.from_pretrained.empty()) return load_pretrained(resolve_model_directory(run.model.from_pretrained));
  const auto seed = stream_seed(static_cast<std::uint64_t>(run.train.seed), "model");
  if (run.model.encoder_from.empty()) return create_model(fresh_config(run.model, tokenizer, image), seed);
  LoadReport report;
  auto model = load_encoder_decoder(run.model.encoder_from, run.model.decoder_from, seed, &report);
  report_new_parameters(report);
  return model;
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
  parts.model = make_model(run, *parts.tokenizer, train->processor());
  parts.generation = generation_for(run, parts.model->config());
  return parts;
}

}  // namespace

TrainResult run_train(const TrainRun& run, bool dry_run) {
  if (run.num_threads > 0) at::set_num_threads(run.num_threads);
  TrainingParts parts = build_parts(run);
  const auto data = parts.train;
  Trainer trainer(run.train, std::move(parts));  // refuses parts that do not fit each other
  if (dry_run) {
    log_info(fmt::format("dry run: {} captions of {} images, {} updates, to {}", data->num_captions(),
                         data->num_images(), trainer.num_steps(), run.output));
    return {};
  }
  RunDir directory(run.output);
  trainer.restore(directory, run.resume);
  directory.write_config(config::to_yaml(run));
  return trainer.fit(directory);
}

}  // namespace capstan::app
