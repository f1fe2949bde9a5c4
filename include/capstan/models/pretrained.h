// Opening and writing model folders as transformers does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// config.json + weights, in float32, of a VisionEncoderDecoderModel. CheckpointError when a file is missing or does
// not fit; tensors that the model has no use for are named in a warning.
std::shared_ptr<VisionEncoderDecoder> load_pretrained(const std::filesystem::path& directory);

// Separate folders, as from_encoder_decoder_pretrained: `encoder` holds a ViTModel (with or without the `vit.`
// prefix or a classifier), `decoder` a GPT2LMHeadModel or GPT2Model. Cross-attention starts fresh from `seed`;
// `report` lists every parameter that is new and every tensor without use.
std::shared_ptr<VisionEncoderDecoder> load_encoder_decoder(const std::filesystem::path& encoder,
                                                           const std::filesystem::path& decoder, std::uint64_t seed,
                                                           LoadReport* report);

// config.json, generation_config.json and model.safetensors, each written atomically; other files stay.
void save_pretrained(const VisionEncoderDecoder& model, const std::filesystem::path& directory);

// config.json alone, for folders whose weights have another form; `dtype` names their type ("float32").
void save_config(const VisionEncoderDecoderConfig& config, const std::string& dtype,
                 const std::filesystem::path& directory);

// config.json (token ids also from generation_config.json). CheckpointError names the key that is missing or wrong,
// UnsupportedError the one that asks for something this version does not do.
VisionEncoderDecoderConfig read_model_config(const std::filesystem::path& directory);

}  // namespace capstan
