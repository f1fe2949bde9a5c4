// The loop. What is written and read is in trainer_checkpoints.cpp.
#include "capstan/train/trainer.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/memory.h"
#include "capstan/core/random.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "capstan/models/vision_layout.h"
#include "capstan/train/batch_size.h"
#include "capstan/train/freeze.h"
#include "capstan/train/run_facts.h"
#include "capstan/train/validation.h"

namespace capstan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kFirstProfiledStep = 10, kProfiledSteps = 5;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::shared_ptr<const Sampler> make_sampler(const TrainerConfig& config, const std::shared_ptr<const Cache>& cache) {
  if (cache->num_captions() == 0) throw DataError("the training split holds no captions");
  return std::make_shared<const Sampler>(cache, SamplerOptions{.seed = static_cast<std::uint64_t>(config.seed),
                                                               .captions = config.captions,
                                                               .captions_per_image = captions_per_image(config),
                                                               .group_by_length = config.group_by_length});
}

std::shared_ptr<const Augmentation> make_augmentation(const TrainerConfig& config) {
  config::Problems problems;
  auto augmentation = std::make_shared<const Augmentation>(config.augment, problems);
  problems.throw_if_any();
  return augmentation;
}

// What no caption depends on (a pooler) has no gradient either.
void freeze_unused(VisionEncoderDecoder& model) {
  const VisionLayout* const layout = model.encoder().layout();
  if (layout == nullptr) return;
  const auto parameters = model.named_parameters();
  for (const auto& [name, shape] : layout->head)
    if (const at::Tensor* const parameter = parameters.find("encoder." + name)) parameter->set_requires_grad(false);
}

TrainingParts ready_to_train(const TrainerConfig& config, TrainingParts parts) {
  CAPSTAN_ASSERT(parts.lora.has_value() == has_adapter(*parts.model));
  if (!parts.world) parts.world = std::make_shared<const World>(World::alone());
  set_numerics(config);
  if (parts.device.is_cpu()) use_block_heap();
  apply_freeze(*parts.model, config.freeze, config.unfreeze);
  freeze_unused(*parts.model);
  parts.model->set_gradient_checkpointing(config.gradient_checkpointing);
  parts.model->decoder().set_embedding_gradient_shrink(config.embedding_gradient_shrink);
  parts.model->to(parts.device);
  std::vector<at::Tensor> weights;
  for (const auto& item : parts.model->named_parameters()) weights.push_back(item.value().detach());
  broadcast_parameters(*parts.world, weights, 0, "the first weights");
  return parts;
}

}  // namespace

Trainer::Trainer(TrainerConfig config, TrainingParts parts)
    : config_(std::move(config)),
      parts_(ready_to_train(config_, std::move(parts))),
      collator_{.eos_token_id = parts_.generation.eos_token_id, .max_tokens = config_.max_tokens},
      sampler_(make_sampler(config_, parts_.train)),
      augmentation_(make_augmentation(config_)),
      update_(parts_.model, parts_.processor, config_, parts_.device, parts_.world, parts_.parallel),
      flops_(parts_.model->config(), trains_encoder(*parts_.model)),
      identity_(run_identity(*parts_.model, *parts_.train, sampler_->size())),
      periods_{.logging = Period::parse(config_.logging_steps),
               .evaluation = Period::parse(config_.eval_steps),
               .saving = Period::parse(config_.save_steps),
               .keeping = config_.keep_every.empty() ? Period() : Period::parse(config_.keep_every),
               .max_seconds = config_.max_time.empty() ? 0 : Period::parse(config_.max_time).value()},
      guard_(config_.guard, state_.guard) {
  check_parts();
  if (config_.auto_find_batch_size) shrink_batch();
  num_steps_ = num_training_steps(config_, sampler_->size(), parts_.world->size());
  schedule_ = {.num_warmup_steps = num_warmup_steps(config_, num_steps_),
               .num_training_steps = num_steps_,
               .learning_rate = config_.learning_rate,
               .kwargs = config_.lr_scheduler_kwargs};
  state_.early_stopping.resize(config_.early_stopping.size());
  const auto seed = static_cast<std::uint64_t>(config_.seed);
  const int rank = parts_.world->rank();
  at::manual_seed(rank == 0 ? seed : stream_seed(seed, "rank", static_cast<std::uint64_t>(rank)));
}

Trainer::~Trainer() = default;

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
  const auto require_score = [&](const char* key, const std::string& name) {
    if (std::find(scores.begin(), scores.end(), name) == scores.end())
      throw ConfigError(fmt::format("{}: unknown score '{}'; known: {}.{}", key, name, join(scores, ", "),
                                    did_you_mean(name, scores)));
  };
  require_score("metric_for_best_model", config_.metric_for_best_model);
  for (const EarlyStoppingConfig& entry : config_.early_stopping) require_score("early_stopping.metric", entry.metric);
}

void Trainer::shrink_batch() {
  const BatchTrial trial{.model = *parts_.model,
                         .processor = parts_.processor,
                         .cache = *parts_.train,
                         .collator = collator_,
                         .device = parts_.device,
                         .world = *parts_.world};
  find_batch_size(trial, config_);
}

std::unique_ptr<DeviceFeed> Trainer::make_feed() const {
  auto loader = std::make_unique<Loader>(parts_.train, sampler_, collator_,
                                         LoaderOptions{.batch_size = config_.per_device_train_batch_size,
                                                       .num_workers = config_.dataloader_num_workers,
                                                       .start = state_.position,
                                                       .rank = parts_.world->rank(),
                                                       .world_size = parts_.world->size(),
                                                       .pin_memory = parts_.device.is_cuda(),
                                                       .augmentation = augmentation_,
                                                       .seed = static_cast<std::uint64_t>(config_.seed)});
  return std::make_unique<DeviceFeed>(std::move(loader), parts_.device, config_.gradient_accumulation_steps);
}

TrainingPoint Trainer::point() const {
  return {.step = state_.global_step,
          .epoch = static_cast<double>(state_.position) / static_cast<double>(sampler_->size()),
          .tokens = state_.tokens,
          .seconds = state_.seconds};
}

bool Trainer::done() const { return state_.global_step >= num_steps_ || !state_.ended.empty(); }

TrainResult Trainer::fit(RunDir& directory) {
  const auto begin = Clock::now();
  const bool main = parts_.world->is_main();
  directory_ = &directory;
  feed_ = make_feed();
  const bool writes_rates = main && !done();
  const double peak = writes_rates ? measure_peak_flops(parts_.device, config_) * parts_.world->size() : 0;
  telemetry_ =
      std::make_unique<Telemetry>(directory, state_, config_, flops_,
                                  TelemetryOptions{.num_steps = num_steps_,
                                                   .num_samples = sampler_->size(),
                                                   .samples_per_step = samples_per_step(config_, parts_.world->size()),
                                                   .writes = main,
                                                   .peak_flops = peak,
                                                   .device = parts_.device});
  if (main) writer_ = std::make_unique<CheckpointWriter>(directory, config_.async_save);
  hook_ = std::make_unique<EventHook>(main ? config_.on_event : "", directory.path());
  if (config_.profile && main)
    profiler_ = std::make_unique<StepProfiler>(directory.path() / "trace.json", state_.global_step + kFirstProfiledStep,
                                               kProfiledSteps, parts_.device.is_cuda());
  if (main) telemetry_->reporting()->write_environment(run_facts(parts_, config_));
  unmerge_adapter(*parts_.model);
  parts_.model->train();
  (*hook_)("start", state_.global_step, fmt::format("training from step {} to {}", state_.global_step, num_steps_));
  try {
    const double before = state_.seconds;
    const auto started = Clock::now();
    while (!done()) {
      const TrainingPoint was = point();
      state_.seconds = before + seconds_since(started);
      if (!take_step()) break;
      after_step(was);
    }
    settle();
    return finish(seconds_since(begin));
  } catch (const std::exception& error) {
    (*hook_)("failure", state_.global_step, error.what());
    parts_.world->announce_failure(error.what());
    throw;
  }
}

bool Trainer::take_step() {
  const auto begin = Clock::now();
  const double waited = feed_->wait_seconds();
  const std::vector<CaptionBatch> batches = feed_->next();
  const double wait_seconds = feed_->wait_seconds() - waited;
  StepSignals signals{.stop = stop_signal(), .save = take_save_request(), .seconds = state_.seconds};
  const StepCounts counts = update_.agree(batches, signals);
  if (signals.stop != 0) {
    request_stop(signals.stop);  // so that every process ends with the same code
    return false;
  }
  state_.seconds = signals.seconds;
  save_asked_ = signals.save;
  const std::int64_t step = state_.global_step + 1;
  if (profiler_) profiler_->before_step(step);
  const double factor = schedules().find(config_.lr_scheduler_type).factor(state_.global_step, schedule_);
  PendingStep outcome = update_.run(batches, counts, step, config_.learning_rate * factor, guard_.loss_limit());
  settle();  // of the update before, while the device works on this one
  state_.global_step = step;
  state_.position += samples_per_step(config_, parts_.world->size());
  state_.tokens += counts.tokens;
  taken_.emplace(Taken{std::move(outcome), step, seconds_since(begin), wait_seconds});
  if (parts_.device.is_cpu()) settle();
  if (profiler_) profiler_->after_step(step);
  return true;
}

void Trainer::settle() {
  if (!taken_) return;
  Taken taken = std::move(*taken_);
  taken_.reset();
  last_result_ = taken.outcome.result();
  telemetry_->record(last_result_, taken.step, taken.seconds, taken.wait_seconds);
  judge(last_result_, taken.step);
}

void Trainer::judge(const StepResult& result, std::int64_t step) {
  if (result.overflowed) {
    telemetry_->record_event("loss_scale_lowered", {{"loss_scale", result.loss_scale}},
                             fmt::format("step {}: float16 gradients overflowed at a loss scale of {}; update skipped",
                                         step, result.loss_scale));
    return;
  }
  const double limit = guard_.loss_limit();
  guard_.record(step, result.loss, result.skipped);
  if (!result.skipped) return;
  const bool finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  telemetry_->record_event(
      finite ? "loss_spike" : "update_skipped", {{"at_step", static_cast<double>(step)}},
      finite ? fmt::format("step {}: update skipped, its loss {:.4f} is far above the usual (limit {:.4f})", step,
                           result.loss, limit)
             : fmt::format("step {}: update skipped, the loss is {} and the gradient norm {}", step, result.loss,
                           result.grad_norm));
}

void Trainer::after_step(const TrainingPoint& before) {
  const TrainingPoint now = point();
  if (periods_.max_seconds > 0 && now.seconds >= periods_.max_seconds && !done()) {
    state_.ended = "max_time";
    settle();
    telemetry_->record_event("max_time", {},
                             fmt::format("max_time: {} are over after step {} of {}",
                                         human_duration(periods_.max_seconds), now.step, num_steps_));
  }
  if (periods_.logging.due(before, now) || done()) {
    settle();
    telemetry_->write_line(last_result_, now.step);
  }
  if (guard_.too_many()) return handle_too_many_skips();
  const bool keeps = periods_.keeping.due(before, now);
  if (keeps) state_.kept.push_back(now.step);  // before anything is saved
  if (evaluation_due(before, now)) evaluate_now();
  if ((periods_.saving.due(before, now) || keeps || save_asked_) && saved_step_ != now.step) save();
  look_after_writer(false);
}

void Trainer::handle_too_many_skips() {
  const GuardConfig& guard = config_.guard;
  const std::string what =
      fmt::format("step {}: {} updates in a row and {} of the last {} were skipped (guard.max_skipped_updates: {})",
                  state_.global_step, state_.guard.skipped_in_row, state_.guard.recent_skips.size(), guard.window,
                  guard.max_skipped_updates);
  const std::string advice =
      "Lower learning_rate, lengthen warmup_steps or set max_grad_norm; the last checkpoint is "
      "untouched.";
  if (guard.on_too_many == "fail") throw Error(fmt::format("{}. {}", what, advice));
  if (state_.guard.rollbacks >= guard.max_rollbacks)
    throw Error(fmt::format("{} after {} rollbacks. {}", what, state_.guard.rollbacks, advice));
  roll_back();
}

bool Trainer::evaluation_due(const TrainingPoint& before, const TrainingPoint& now) const {
  if (parts_.validation == nullptr || config_.eval_strategy == "no") return false;
  if (now.step >= num_steps_) return true;
  if (config_.eval_strategy == "steps") return periods_.evaluation.due(before, now);
  return std::floor(before.epoch) != std::floor(now.epoch);
}

void Trainer::evaluate_now() {
  settle();
  const auto begin = Clock::now();
  EvaluationReport report;
  {
    const UsingEma average(config_.ema.evaluate ? &update_.ema() : nullptr);
    report = validate(*parts_.model, *parts_.validation, parts_.processor, *parts_.tokenizer, parts_.generation,
                      collator_, config_, parts_.device, *parts_.world);
  }
  parts_.model->train();
  telemetry_->record_evaluation(report.scores, seconds_since(begin));
  stop_early(report.scores);  // first, so that the checkpoint of a new best knows of it
  note_best(report.scores);
  if (Reporting* const reporting = telemetry_->reporting()) {
    reporting->samples(state_.global_step, *parts_.validation, report);
    reporting->refresh();
  }
}

void Trainer::note_best(const std::map<std::string, double>& scores) {
  const double score = scores.at(config_.metric_for_best_model);
  if (state_.best_metric && !is_better(config_.metric_for_best_model, score, *state_.best_metric)) return;
  state_.best_metric = score;
  state_.best_model_checkpoint = directory_->checkpoint_path(state_.global_step).filename().string();
  save();  // so that the best weights exist whatever save_steps says
  (*hook_)("best", state_.global_step, fmt::format("{} {:.4f}", config_.metric_for_best_model, score));
}

void Trainer::stop_early(const std::map<std::string, double>& scores) {
  bool all_waited = !config_.early_stopping.empty();
  for (std::size_t i = 0; i < config_.early_stopping.size(); ++i) {
    const EarlyStoppingConfig& rule = config_.early_stopping[i];
    EarlyStoppingState& seen = state_.early_stopping[i];
    const double score = scores.at(rule.metric);
    const bool better = !seen.best || is_better(rule.metric, score, *seen.best, rule.threshold);
    seen.waited = better ? 0 : seen.waited + 1;
    if (better) seen.best = score;
    all_waited = all_waited && seen.waited >= rule.patience;
  }
  if (!all_waited || done()) return;
  state_.ended = "early_stopping";
  telemetry_->record_event(
      "early_stopping", {},
      fmt::format("step {}: no score of early_stopping has got better; training ends", state_.global_step));
}

TrainResult Trainer::finish(double seconds) {
  save_last();
  TrainResult end{.step = state_.global_step,
                  .best_metric = state_.best_metric,
                  .checkpoint = directory_->checkpoint_path(state_.global_step),
                  .samples_per_second = telemetry_->samples_per_second(),
                  .seconds = seconds,
                  .stopped = !done(),
                  .ended = state_.ended};
  end.best_checkpoint =
      state_.best_model_checkpoint.empty() ? end.checkpoint : directory_->path() / state_.best_model_checkpoint;
  if (Reporting* const reporting = telemetry_->reporting()) reporting->refresh();
  const std::string saves = telemetry_->saves_text();
  telemetry_.reset();
  if (parts_.world->is_main() && !saves.empty()) log_info(saves);
  if (parts_.world->is_main()) log_info(peak_memory_text(parts_.device));
  feed_.reset();
  profiler_.reset();
  if (config_.load_best_model_at_end && !end.stopped) load_weights(end.best_checkpoint);
  merge_adapter(*parts_.model);  // what is done with the model from here on may read its weights
  parts_.model->eval();
  (*hook_)("end", state_.global_step, end.stopped ? "stopped by a signal" : end.ended.empty() ? "done" : end.ended);
  hook_.reset();
  return end;
}

}  // namespace capstan
