// The part of Trainer that writes and reads checkpoints.
#include <fmt/format.h>

#include <chrono>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/models/pretrained.h"
#include "capstan/train/trainer.h"

namespace capstan {
namespace {

// Everything from a checkpoint but the weights that have an adapter: it holds those with the adapter merged in.
void load_around_adapter(const VisionEncoderDecoder& model, const TensorMap& tensors, const fs::path& checkpoint) {
  TensorMap rest = model.state();
  for (const NamedLayer& item : linear_layers(model))
    if (item.layer->has_lora()) rest.erase(item.name + ".weight");
  for (auto& [name, parameter] : rest) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.sizes() != parameter.sizes())
      throw CheckpointError(fmt::format("{}: {} is missing or of another shape", checkpoint.string(), name));
    parameter.copy_(found->second);
  }
}

// The checkpoint that a run goes on from; empty for a fresh start.
std::string choose_checkpoint(const RunDir& directory, const std::string& resume) {
  const auto existing = list_checkpoints(directory.path());
  if (resume == "never" && !existing.empty())
    throw DataError(
        fmt::format("{}: the output folder is not empty, it holds {}; choose another output folder, or "
                    "resume=auto to go on",
                    directory.path().string(), existing.back().path.filename().string()));
  if (resume == "never" || (resume == "auto" && existing.empty())) return "";
  if (resume == "auto") {
    const auto newest = directory.newest_valid();
    if (!newest)
      throw CheckpointError(
          fmt::format("{}: every checkpoint is damaged (see the warnings); move them away to start "
                      "afresh",
                      directory.path().string()));
    return newest->path.string();
  }
  require_valid_checkpoint(resume);
  if (!existing.empty() && !directory.contains(resume))
    throw CheckpointError(
        fmt::format("{}: holds checkpoints of its own and cannot go on from {}; choose another "
                    "output folder, or resume=auto",
                    directory.path().string(), resume));
  return resume;
}

}  // namespace

// All processes call it: some of what it holds lies with others.
Snapshot Trainer::take_snapshot() {
  Snapshot snapshot{.config = parts_.model->config(),
                    .optimizer = update_.optimizer().state(),
                    .random = random_states(parts_.device, *parts_.world),
                    .scaler = update_.scaler().state(),
                    .generation = parts_.generation,
                    .tokenizer = parts_.tokenizer,
                    .processor = parts_.processor,
                    .state = trainer_state_text(state_, identity_, config_, num_steps_),
                    .configuration = parts_.configuration};
  if (!parts_.world->is_main()) return snapshot;
  if (parts_.lora) snapshot.adapter = snapshot_adapter(*parts_.model, *parts_.lora, parts_.base_model);
  // Where what is in the model now is taken out of it again, it has to be copied first.
  const auto weights = [&](bool changes_back) {
    const MergedAdapter merged(*parts_.model);  // so that the folder is an ordinary model
    TensorMap state = parts_.model->state();
    if (changes_back || parts_.lora)
      for (auto& [name, tensor] : state) tensor = tensor.detach().to(c10::kCPU, tensor.scalar_type(), false, true);
    return state;
  };
  snapshot.model = weights(false);
  if (!update_.ema().enabled()) return snapshot;
  if (parts_.lora) snapshot.ema = update_.ema().state();
  const UsingEma average(&update_.ema());
  snapshot.ema_model = weights(true);
  return snapshot;
}

void Trainer::save() {
  settle();
  const auto begin = std::chrono::steady_clock::now();
  look_after_writer(true);
  Snapshot snapshot = take_snapshot();
  saved_step_ = state_.global_step;
  if (!writer_) return;
  telemetry_->pause();
  try {
    writer_->save(state_.global_step, std::move(snapshot), rotation());
  } catch (const std::exception& error) {
    note_failed_save(error);
  }
  telemetry_->record_save(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

RotationRule Trainer::rotation() const {
  return {.limit = config_.save_total_limit, .best = state_.best_model_checkpoint, .for_good = state_.kept};
}

void Trainer::look_after_writer(bool wait) {
  if (!writer_) return;
  try {
    wait ? writer_->finish() : writer_->look();
  } catch (const std::exception& error) {
    note_failed_save(error);
  }
}

void Trainer::note_failed_save(const std::exception& error) {
  saved_step_ = -1;
  telemetry_->record_event("save_failed", {},
                           fmt::format("a checkpoint could not be written, those before it are as they were: {}; "
                                       "training goes on",
                                       error.what()));
  (*hook_)("failure", state_.global_step, error.what());
}

// The last checkpoint is what the run was for, so that a failure here is one of the run.
void Trainer::save_last() {
  look_after_writer(true);
  if (parts_.world->any(saved_step_ != state_.global_step, "the last checkpoint")) {
    Snapshot snapshot = take_snapshot();
    if (writer_) writer_->save(state_.global_step, std::move(snapshot), rotation());
    saved_step_ = state_.global_step;
  }
  if (writer_) writer_->finish();
  parts_.world->barrier("the last checkpoint");
}

// Back to the newest checkpoint, and on with data that comes after what was taken so far.
void Trainer::roll_back() {
  settle();
  std::string target;
  look_after_writer(true);
  if (writer_)
    if (const auto newest = directory_->newest_valid()) target = newest->path.string();
  target = parts_.world->gather(target, "the checkpoint to go back to").front();
  if (target.empty())
    throw Error(
        fmt::format("step {}: too many updates were skipped, and there is no checkpoint to go back to; set "
                    "train.save_steps, or lower learning_rate",
                    state_.global_step));
  const TrainerState before = state_;
  load(target);
  for (std::size_t i = state_.log_history.size(); i < before.log_history.size(); ++i)
    if (before.log_history[i].find("\"event\":") != std::string::npos)  // what happened stays on record
      state_.log_history.push_back(before.log_history[i]);
  state_.position = before.position;
  state_.seconds = before.seconds;
  state_.guard.rollbacks = before.guard.rollbacks + 1;
  guard_.forget();
  saved_step_ = state_.global_step;
  feed_ = make_feed();
  telemetry_->rolled_back();
  telemetry_->record_event(
      "rolled_back", {{"from_step", static_cast<double>(before.global_step)}},
      fmt::format("step {}: went back to {} and on with other data (rollback {} of {})", before.global_step, target,
                  state_.guard.rollbacks, config_.guard.max_rollbacks));
  parts_.model->train();
}

void Trainer::load(const fs::path& checkpoint) {
  state_ = load_trainer_state(identity_, checkpoint);
  state_.early_stopping.resize(config_.early_stopping.size());
  // What ended the run may no longer hold.
  const bool more_time = periods_.max_seconds == 0 || state_.seconds < periods_.max_seconds;
  if ((state_.ended == "max_time" && more_time) || (state_.ended == "early_stopping" && config_.early_stopping.empty()))
    state_.ended.clear();
  load_weights(checkpoint);
  update_.optimizer().load_state(read_safetensors(checkpoint / kOptimizerFile));
  load_averages(checkpoint);
  if (fs::exists(checkpoint / kScalerFile)) update_.scaler().load_state(read_safetensors(checkpoint / kScalerFile));
  load_random_states(parts_.device, *parts_.world, static_cast<std::uint64_t>(config_.seed), checkpoint);
  if (parts_.world->is_main())
    log_info(fmt::format("{}: going on from step {} of {}", checkpoint.string(), state_.global_step, num_steps_));
}

void Trainer::load_weights(const fs::path& checkpoint) {
  const TensorMap tensors = read_pretrained_tensors(checkpoint);
  if (!parts_.lora) return parts_.model->load_state(tensors);
  restore_adapter(*parts_.model, checkpoint / kAdapterFolder);
  load_around_adapter(*parts_.model, tensors, checkpoint);
}

// Averages of a checkpoint that has none begin at its weights.
void Trainer::load_averages(const fs::path& checkpoint) {
  Ema& ema = update_.ema();
  if (!ema.enabled()) return;
  const bool own_file = fs::exists(checkpoint / kEmaFile);
  TensorMap found;
  if (own_file)
    found = read_safetensors(checkpoint / kEmaFile);
  else if (fs::exists(checkpoint / kEmaFolder))
    found = read_pretrained_tensors(checkpoint / kEmaFolder);
  TensorMap averages;
  for (const NamedParameter& parameter : update_.parameters()) {
    const auto tensor = found.find(parameter.name);
    averages[parameter.name] = tensor != found.end() ? tensor->second : parameter.tensor.detach();
  }
  ema.load_state(averages);
}

void Trainer::restore(RunDir& directory, const std::string& resume) {
  const World& world = *parts_.world;
  const std::string chosen = world.is_main() ? choose_checkpoint(directory, resume) : "";
  const std::string target = world.gather(chosen, "the checkpoint to go on from").front();
  if (target.empty()) return;
  load(target);
  if (!directory.contains(target)) {  // that run's best is not among this run's checkpoints
    state_.best_metric.reset();
    state_.best_model_checkpoint.clear();
    state_.kept.clear();
  }
  if (world.is_main()) directory.set_aside_after(state_.global_step);
  world.barrier("the checkpoints that are set aside");
  if (fs::exists(directory.checkpoint_path(state_.global_step))) saved_step_ = state_.global_step;
}

}  // namespace capstan
