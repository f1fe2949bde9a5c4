// The part of Trainer that writes and reads checkpoints. What save() lists is what "resumable" means.
#include <fmt/format.h>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/models/pretrained.h"
#include "capstan/train/trainer.h"

namespace capstan {
namespace {

constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kAdapterFolder = "adapter";

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

}  // namespace

void Trainer::save(RunDir& directory) {
  if (telemetry_) telemetry_->pause();
  directory.save_checkpoint(state_.global_step, [&](const fs::path& folder) {
    {
      const MergedAdapter merged(*parts_.model);  // so that the folder is an ordinary model
      save_pretrained(*parts_.model, folder);
    }
    if (parts_.lora) save_adapter(*parts_.model, *parts_.lora, folder / kAdapterFolder, parts_.base_model);
    save_generation_config(parts_.generation, folder);  // how long captions may get is the run's choice
    parts_.tokenizer->save(folder);
    parts_.processor.save_pretrained(folder);
    write_safetensors(folder / kOptimizerFile, update_.optimizer().state());
    save_random_state(parts_.device, folder);
    save_trainer_state(state_, identity_, config_, num_steps_, folder);
  });
  saved_step_ = state_.global_step;
  directory.rotate(config_.save_total_limit, state_.best_model_checkpoint);
}

void Trainer::load(const fs::path& checkpoint) {
  state_ = load_trainer_state(identity_, checkpoint);
  load_weights(checkpoint);
  update_.optimizer().load_state(read_safetensors(checkpoint / kOptimizerFile));
  load_random_state(parts_.device, checkpoint);
  log_info(fmt::format("{}: going on from step {} of {}", checkpoint.string(), state_.global_step, num_steps_));
}

void Trainer::load_weights(const fs::path& checkpoint) {
  const TensorMap tensors = read_pretrained_tensors(checkpoint);
  if (!parts_.lora) return parts_.model->load_state(tensors);
  restore_adapter(*parts_.model, checkpoint / kAdapterFolder);
  load_around_adapter(*parts_.model, tensors, checkpoint);
}

void Trainer::restore(RunDir& directory, const std::string& resume) {
  const auto existing = list_checkpoints(directory.path());
  if (resume == "never") {
    if (!existing.empty())
      throw DataError(
          fmt::format("{}: the output folder is not empty, it holds {}; choose another output folder, or "
                      "resume=auto to go on",
                      directory.path().string(), existing.back().path.filename().string()));
    return;
  }
  if (resume == "auto") {
    if (existing.empty()) return;
    const auto newest = directory.newest_valid();
    if (!newest)
      throw CheckpointError(
          fmt::format("{}: every checkpoint is damaged (see the warnings); move them away to start "
                      "afresh",
                      directory.path().string()));
    load(newest->path);
  } else {
    require_valid_checkpoint(resume);
    if (!existing.empty() && !directory.contains(resume))
      throw CheckpointError(
          fmt::format("{}: holds checkpoints of its own and cannot go on from {}; choose another "
                      "output folder, or resume=auto",
                      directory.path().string(), resume));
    load(resume);
    if (!directory.contains(resume)) {  // that run's best is not among this run's checkpoints
      state_.best_metric.reset();
      state_.best_model_checkpoint.clear();
    }
  }
  directory.set_aside_after(state_.global_step);
  if (fs::exists(directory.checkpoint_path(state_.global_step))) saved_step_ = state_.global_step;
}

}  // namespace capstan
