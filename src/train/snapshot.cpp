#include "capstan/train/snapshot.h"

#include <ATen/core/grad_mode.h>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/files.h"
#include "capstan/models/pretrained.h"

namespace capstan {
namespace {

void detach(TensorMap& tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.is_cpu() ? tensor.detach().clone() : tensor.detach().cpu();
}

void write_model(const Snapshot& snapshot, const TensorMap& weights, const fs::path& folder) {
  save_pretrained(snapshot.config, weights, folder);
  save_generation_config(snapshot.generation, folder);  // how long captions may get is the run's choice
  snapshot.tokenizer->save(folder);
  snapshot.processor.save_pretrained(folder);
}

}  // namespace

void detach_snapshot(Snapshot& snapshot) {
  const at::NoGradGuard no_grad;
  for (TensorMap* tensors :
       {&snapshot.model, &snapshot.optimizer, &snapshot.random, &snapshot.scaler, &snapshot.ema_model, &snapshot.ema})
    detach(*tensors);
  if (snapshot.adapter) detach(snapshot.adapter->tensors);
}

void write_snapshot(const Snapshot& snapshot, const fs::path& folder) {
  write_model(snapshot, snapshot.model, folder);
  if (snapshot.adapter) write_adapter(*snapshot.adapter, folder / kAdapterFolder);
  if (!snapshot.ema_model.empty()) write_model(snapshot, snapshot.ema_model, folder / kEmaFolder);
  if (!snapshot.ema.empty()) write_safetensors(folder / kEmaFile, snapshot.ema);
  write_safetensors(folder / kOptimizerFile, snapshot.optimizer);
  write_safetensors(folder / kRandomFile, snapshot.random);
  if (!snapshot.scaler.empty()) write_safetensors(folder / kScalerFile, snapshot.scaler);
  write_file_atomic(folder / "training_config.yaml", snapshot.configuration);
  write_file_atomic(folder / kStateFile, snapshot.state);
}

}  // namespace capstan
