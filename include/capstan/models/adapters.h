// LoRA adapters on a captioner, in memory and in peft's files (adapter_config.json, adapter_model.safetensors).
//
//   add_adapter(*model, {.r = 8, .target_modules = {"query", "value", "c_attn"}}, seed);   // to train one
//   apply_adapter(*model, "runs/x/checkpoint-900/adapter");                                 // to caption with one
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/fields.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/nn/lora.h"

namespace capstan {

// Names and meanings of peft's LoraConfig.
struct LoraConfig {
  int r = 0;
  double lora_alpha = 8;
  double lora_dropout = 0;
  std::vector<std::string> target_modules{"all-linear"};
  std::vector<std::string> exclude_modules;
  std::vector<std::string> modules_to_save;
  bool use_rslora = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("r", r, "Rank of the adapter; 0 means none and trains the weights themselves.", between(0, 65536));
    v("lora_alpha", lora_alpha, "The adapter's output is scaled by lora_alpha / r.", above(0));
    v("lora_dropout", lora_dropout, "Dropout of the adapter's input.", between(0, 1));
    v("target_modules", target_modules,
      "Linear layers that get an adapter, by the end of their names (query, attn.c_attn) or by regular expressions for "
      "the whole name; all-linear means every one.");
    v("exclude_modules", exclude_modules, "Layers among them that get none.");
    v("modules_to_save", modules_to_save,
      "Modules, by the end of their names, that are trained whole and saved with the adapter; for a decoder without "
      "trained cross-attention: crossattention, ln_cross_attn.");
    v("use_rslora", use_rslora, "Scale by lora_alpha / sqrt(r) instead.");
  }
  void check(std::vector<std::string>& problems) const;
  double scale() const;
};

// A linear layer of the model and its published name ("encoder.encoder.layer.0.attention.attention.query"). Layers that
// nothing uses (pooler) are left out.
struct NamedLayer {
  std::string name;
  LoraLayer* layer = nullptr;
};
std::vector<NamedLayer> linear_layers(const VisionEncoderDecoder& model);

// Freezes the whole model but modules_to_save and adds a fresh adapter: A uniform as peft draws it (from `seed` and the
// layer's name), B zero, so that at first nothing changes. Modules may be named as in published weights or as in
// transformers 5. ConfigError for an entry that selects nothing.
void add_adapter(VisionEncoderDecoder& model, const LoraConfig& config, std::uint64_t seed);

bool has_adapter(const VisionEncoderDecoder& model);
bool is_adapter_parameter(std::string_view name);  // "....lora_A.weight" or "....lora_B.weight"

// Into the weights and out of them again, bit for bit. Whatever reads the model's weights, and not only calls it, sees
// the adapter only while it is merged.
void merge_adapter(VisionEncoderDecoder& model);
void unmerge_adapter(VisionEncoderDecoder& model);
void remove_adapter(VisionEncoderDecoder& model);

// Merged while it lives, unless it was before.
class MergedAdapter {
 public:
  explicit MergedAdapter(VisionEncoderDecoder& model);
  ~MergedAdapter();
  MergedAdapter(const MergedAdapter&) = delete;
  MergedAdapter& operator=(const MergedAdapter&) = delete;

 private:
  VisionEncoderDecoder* model_;  // null: nothing to undo
};

// Adds the adapter of a folder that peft or save_adapter wrote for a model of this shape; modules_to_save overwrite the
// model's weights. The model's requires_grad stays as it is. CheckpointError when files are missing, broken or of
// another model, UnsupportedError for what is more than plain LoRA (DoRA, biases, embeddings, changed base weights).
LoraConfig load_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory);
// Copies the folder's values into the adapter that the model has already, for going on with training.
void restore_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory);
// load_adapter, merged for good: afterwards an ordinary model.
void apply_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory);

// What save_adapter writes. Tensors share the model's memory.
struct AdapterSnapshot {
  LoraConfig config;
  std::string base;
  TensorMap tensors;                 // by peft's names
  std::vector<std::string> targets;  // layers that are adapted
  std::vector<std::string> modules;  // saved whole
};
AdapterSnapshot snapshot_adapter(const VisionEncoderDecoder& model, const LoraConfig& config, const std::string& base);
void write_adapter(const AdapterSnapshot& snapshot, const std::filesystem::path& directory);

// The model's adapter and modules_to_save, for PeftModel.from_pretrained with transformers 5's
// VisionEncoderDecoderModel and for load_adapter. `base` is what base_model_name_or_path says.
void save_adapter(const VisionEncoderDecoder& model, const LoraConfig& config, const std::filesystem::path& directory,
                  const std::string& base);

}  // namespace capstan
