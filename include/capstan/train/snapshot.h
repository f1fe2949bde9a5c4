// Everything that a checkpoint holds, and its files. What is listed here is what "resumable" means.
#pragma once
#include <c10/core/Event.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/adapters.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

inline constexpr const char* kOptimizerFile = "optimizer.safetensors";
inline constexpr const char* kRandomFile = "rng_state.safetensors";
inline constexpr const char* kScalerFile = "scaler.safetensors";
inline constexpr const char* kStateFile = "trainer_state.json";
inline constexpr const char* kAdapterFolder = "adapter";
inline constexpr const char* kEmaFolder = "ema";            // a model folder of its own
inline constexpr const char* kEmaFile = "ema.safetensors";  // averages of an adapter, which the folder has merged in

struct Snapshot {
  VisionEncoderDecoderConfig config;
  TensorMap model;                         // an adapter merged in
  std::optional<AdapterSnapshot> adapter;  // and on its own
  TensorMap optimizer, random, scaler;
  TensorMap ema_model, ema;
  GenerationConfig generation;
  std::shared_ptr<const Tokenizer> tokenizer;
  ImageProcessor processor;
  std::string state;                     // trainer_state.json
  std::string configuration;             // the resolved configuration, as YAML
  std::shared_ptr<c10::Event> copied{};  // of a GPU: comes when detach_snapshot's copies are there
};

// Copies every tensor to memory of its own, so that training may go on while the rest is written. A GPU copies within
// its own memory, as far as it lasts, and is not waited for.
void detach_snapshot(Snapshot& snapshot);
// Brings a detached snapshot to the CPU, on any thread and beside what the GPU does meanwhile.
void fetch_snapshot(Snapshot& snapshot);
void write_snapshot(const Snapshot& snapshot, const std::filesystem::path& folder);

}  // namespace capstan
