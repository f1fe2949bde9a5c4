#include "capstan/train/trainer.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "capstan/train/freeze.h"
#include "capstan/train/memory.h"
#include "capstan/train/validation.h"

namespace capstan {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::shared_ptr<const Sampler> make_sampler(const TrainerConfig& config, const std::shared_ptr<const Cache>& cache) {
  if (cache->num_captions() == 0) throw DataError("the training split holds no captions");
  return std::make_shared<const Sampler>(cache, SamplerOptions{.seed = static_cast<std::uint64_t>(config.seed),
                                                               .captions = config.captions,
                                                               .group_by_length = config.group_by_length});
}

std::shared_ptr<const Augmentation> make_augmentation(const TrainerConfig& config) {
  config::Problems problems;
  auto augmentation = std::make_shared<const Augmentation>(config.augment, problems);
  problems.throw_if_any();
  return augmentation;
}

std::shared_ptr<VisionEncoderDecoder> ready_to_train(const TrainerConfig& config, const TrainingParts& parts) {
  CAPSTAN_ASSERT(parts.lora.has_value() == has_adapter(*parts.model));
  apply_freeze(*parts.model, config.freeze, config.unfreeze);
  parts.model->set_gradient_checkpointing(config.gradient_checkpointing);
  parts.model->to(parts.device);
  return parts.model;
}

}  // namespace

Trainer::Trainer(TrainerConfig config, TrainingParts parts)
    : config_(std::move(config)),
      parts_(std::move(parts)),
      collator_{.eos_token_id = parts_.generation.eos_token_id, .max_tokens = config_.max_tokens},
      sampler_(make_sampler(config_, parts_.train)),
      augmentation_(make_augmentation(config_)),
      update_(ready_to_train(config_, parts_), parts_.processor, config_, parts_.device),
      identity_(run_identity(*parts_.model, *parts_.train, sampler_->size())),
      num_steps_(num_training_steps(config_, sampler_->size())),
      schedule_{.num_warmup_steps = num_warmup_steps(config_, num_steps_), .num_training_steps = num_steps_} {
  check_parts();
  at::manual_seed(static_cast<std::uint64_t>(config_.seed));
}

void Trainer::check_parts() const {
  const auto& model = parts_.model->config();
  for (const Cache* cache : {parts_.train.get(), parts_.validation.get()})
    if (cache != nullptr && cache->image_size() != model.encoder.image_size)
      throw ConfigError(
          fmt::format("the cache holds pictures of {0} pixels, the encoder takes {1}: prepare the data with "
                      "image.size={1}, or choose a model with image_size {0}",
                      cache->image_size(), model.encoder.image_size));
  if (config_.max_tokens + 1 > model.decoder.n_positions)
    throw ConfigError(
        fmt::format("max_tokens is {}, but the decoder takes {} positions: at most {} and the end token fit",
                    config_.max_tokens, model.decoder.n_positions, model.decoder.n_positions - 1));
  if (parts_.tokenizer->vocab_size() > model.decoder.vocab_size)
    throw ConfigError(fmt::format("the tokenizer has {} ids, the decoder's vocab_size is {}",
                                  parts_.tokenizer->vocab_size(), model.decoder.vocab_size));
  const auto scores = validation_score_names();
  if (std::find(scores.begin(), scores.end(), config_.metric_for_best_model) == scores.end())
    throw ConfigError(fmt::format("metric_for_best_model: unknown score '{}'; known: {}.{}",
                                  config_.metric_for_best_model, join(scores, ", "),
                                  did_you_mean(config_.metric_for_best_model, scores)));
}

TrainResult Trainer::fit(RunDir& directory) {
  const auto begin = Clock::now();
  loader_ = make_loader();
  telemetry_ = std::make_unique<Telemetry>(
      directory, state_, config_.logging_steps, num_steps_, sampler_->size(),
      std::int64_t{config_.per_device_train_batch_size} * config_.gradient_accumulation_steps);
  unmerge_adapter(*parts_.model);
  parts_.model->train();

  while (state_.global_step < num_steps_ && !should_stop()) {
    const std::int64_t position_before = state_.position;
    const StepResult step = take_step();
    telemetry_->record(step);
    if (evaluation_due(position_before)) evaluate_now(directory);
    if (saving_due()) save(directory);
  }
  if (saved_step_ != state_.global_step) save(directory);

  TrainResult end = result(directory, seconds_since(begin));
  telemetry_.reset();
  log_info(peak_memory_text(parts_.device));
  loader_.reset();
  if (config_.load_best_model_at_end && !end.stopped) load_weights(end.best_checkpoint);
  merge_adapter(*parts_.model);  // what is done with the model from here on may read its weights
  parts_.model->eval();
  return end;
}

std::unique_ptr<Loader> Trainer::make_loader() const {
  return std::make_unique<Loader>(parts_.train, sampler_, collator_,
                                  LoaderOptions{.batch_size = config_.per_device_train_batch_size,
                                                .num_workers = config_.dataloader_num_workers,
                                                .start = state_.position,
                                                .pin_memory = parts_.device.is_cuda(),
                                                .augmentation = augmentation_,
                                                .seed = static_cast<std::uint64_t>(config_.seed)});
}

StepResult Trainer::take_step() {
  const auto begin = Clock::now();
  std::vector<CaptionBatch> batches;
  for (int i = 0; i < config_.gradient_accumulation_steps; ++i) batches.push_back(loader_->next());
  const double factor = schedules().find(config_.lr_scheduler_type).factor(state_.global_step, schedule_);
  StepResult step = update_.run(batches, config_.learning_rate * factor);

  ++state_.global_step;
  state_.position = loader_->position();
  state_.skipped_in_row = step.skipped ? state_.skipped_in_row + 1 : 0;
  if (state_.skipped_in_row > config_.max_skipped_updates)
    throw Error(
        fmt::format("step {}: {} updates in a row had a loss or gradient that is not finite (max_skipped_updates: "
                    "{}). Lower learning_rate, lengthen warmup_steps or set max_grad_norm; the last checkpoint "
                    "is untouched.",
                    state_.global_step, state_.skipped_in_row, config_.max_skipped_updates));
  step.seconds = seconds_since(begin);
  return step;
}

bool Trainer::should_stop() const { return stop_requested(); }

bool Trainer::evaluation_due(std::int64_t position_before) const {
  if (parts_.validation == nullptr || config_.eval_strategy == "no") return false;
  if (state_.global_step == num_steps_) return true;
  if (config_.eval_strategy == "steps") return state_.global_step % config_.eval_steps == 0;
  const std::int64_t size = sampler_->size();
  return position_before / size != state_.position / size;
}

bool Trainer::saving_due() const {
  return config_.save_steps > 0 && state_.global_step % config_.save_steps == 0 && saved_step_ != state_.global_step;
}

void Trainer::evaluate_now(RunDir& directory) {
  const auto begin = Clock::now();
  const auto scores = validate(*parts_.model, *parts_.validation, parts_.processor, *parts_.tokenizer,
                               parts_.generation, collator_, config_, parts_.device);
  parts_.model->train();
  telemetry_->record_evaluation(scores, seconds_since(begin));
  const double score = scores.at(config_.metric_for_best_model);
  if (state_.best_metric && !is_better(config_.metric_for_best_model, score, *state_.best_metric)) return;
  state_.best_metric = score;
  state_.best_model_checkpoint = directory.checkpoint_path(state_.global_step).filename().string();
  save(directory);  // so that the best weights exist whatever save_steps says
}

TrainResult Trainer::result(const RunDir& directory, double seconds) const {
  TrainResult end{.step = state_.global_step,
                  .best_metric = state_.best_metric,
                  .checkpoint = directory.checkpoint_path(state_.global_step),
                  .captions_per_second = telemetry_->captions_per_second(),
                  .seconds = seconds,
                  .stopped = state_.global_step < num_steps_};
  end.best_checkpoint =
      state_.best_model_checkpoint.empty() ? end.checkpoint : directory.path() / state_.best_model_checkpoint;
  return end;
}

}  // namespace capstan
