#include "capstan/train/snapshot.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <functional>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/files.h"
#include "capstan/models/pretrained.h"

namespace capstan {
namespace {

void for_each_tensor(Snapshot& snapshot, const std::function<void(at::Tensor&)>& change) {
  const auto each = [&](TensorMap& tensors) {
    for (auto& [name, tensor] : tensors) change(tensor);
  };
  for (TensorMap* tensors :
       {&snapshot.model, &snapshot.optimizer, &snapshot.random, &snapshot.scaler, &snapshot.ema_model, &snapshot.ema})
    each(*tensors);
  if (snapshot.adapter) each(snapshot.adapter->tensors);
}

at::Tensor copy_of(const at::Tensor& tensor) {
  try {
    return tensor.detach().clone();
  } catch (const c10::OutOfMemoryError&) {
    if (tensor.is_cpu()) throw;
    return tensor.detach().cpu();
  }
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
  std::optional<c10::Device> device;
  for_each_tensor(snapshot, [&](at::Tensor& tensor) {
    tensor = copy_of(tensor);
    if (!tensor.is_cpu()) device = tensor.device();
  });
  if (!device) return;
  snapshot.copied = std::make_shared<c10::Event>(device->type());
  snapshot.copied->record(c10::impl::VirtualGuardImpl(device->type()).getStream(*device));
}

void fetch_snapshot(Snapshot& snapshot) {
  if (!snapshot.copied) return;
  const c10::Device device(snapshot.copied->device_type(), snapshot.copied->device_index());
  const c10::StreamGuard on_side(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device));
  snapshot.copied->block(on_side.current_stream());
  for_each_tensor(snapshot, [](at::Tensor& tensor) { tensor = tensor.cpu(); });
  snapshot.copied.reset();
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
