// Opening and writing model folders as transformers does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

struct LoadOptions {
  // Type of the model's weights, whatever that of the file; without one, the type that the file's embedding has.
  std::optional<c10::ScalarType> dtype = c10::ScalarType::Float;
  // Otherwise errors: weights that are in no file, and those of another shape, start fresh from `seed`.
  bool initialize_missing = false;
  bool ignore_mismatched_sizes = false;
  std::uint64_t seed = 0;
};

// config.json + weights of a VisionEncoderDecoderModel. Weights that the file holds in the model's type are not
// copied: they stay in its private mapping, of which only pages that are used or changed take memory. CheckpointError
// when a file is missing or does not fit; what `options` let pass, and tensors that the model has no use for, are named
// in a warning and in `report`.
std::shared_ptr<VisionEncoderDecoder> load_pretrained(const std::filesystem::path& directory,
                                                      const LoadOptions& options = {}, LoadReport* report = nullptr);

// Separate folders, as from_encoder_decoder_pretrained: `encoder` holds a ViTModel, DeiTModel or SiglipVisionModel
// (or a classifier or whole SiglipModel around one), `decoder` a GPT2LMHeadModel or GPT2Model. Cross-attention and the
// projection between the widths start fresh from `seed`; `report` lists every parameter that is new and every tensor
// without use.
std::shared_ptr<VisionEncoderDecoder> load_encoder_decoder(const std::filesystem::path& encoder,
                                                           const std::filesystem::path& decoder, std::uint64_t seed,
                                                           LoadReport* report, LoadOptions options = {});

// How a folder's weights fit its config.json, from headers alone.
LoadReport check_pretrained(const std::filesystem::path& directory);

// config.json, generation_config.json and model.safetensors, each written atomically; other files stay. The weights
// are written as `dtype` (float32, bfloat16 or float16) where one is given, converted one at a time.
void save_pretrained(const VisionEncoderDecoder& model, const std::filesystem::path& directory,
                     std::optional<c10::ScalarType> dtype = std::nullopt);

// The same of weights that are not in a model at the moment: `state` as VisionEncoderDecoder::state() gives it.
void save_pretrained(const VisionEncoderDecoderConfig& config, const TensorMap& state,
                     const std::filesystem::path& directory, std::optional<c10::ScalarType> dtype = std::nullopt);

// config.json alone, for folders whose weights have another form; `dtype` names their type ("float32").
void save_config(const VisionEncoderDecoderConfig& config, const std::string& dtype,
                 const std::filesystem::path& directory);

// config.json (token ids also from generation_config.json). CheckpointError names the key that is missing or wrong,
// UnsupportedError the one that asks for something this version does not do.
VisionEncoderDecoderConfig read_model_config(const std::filesystem::path& directory);

}  // namespace capstan
