// Hugging Face safetensors files, single and sharded, read through a memory map.
// Format: https://huggingface.co/docs/safetensors (8-byte little-endian header size, JSON header, data).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace capstan {

using TensorMap = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

// Tensors share the file's mapping (copy-on-write, private) and keep it alive. CheckpointError when the header,
// an offset, a shape or a type does not fit the file.
TensorMap read_safetensors(const std::filesystem::path& path, Metadata* metadata = nullptr);

// Names in order, data aligned to 8 bytes, metadata {"format": "pt"} plus `metadata`. Written atomically, one tensor at
// a time; floating-point tensors become `float_dtype` on the way where one is given.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const Metadata& metadata = {},
                       std::optional<c10::ScalarType> float_dtype = std::nullopt);

// The weights of a model folder: model.safetensors, the files of model.safetensors.index.json, pytorch_model.bin, or
// those of pytorch_model.bin.index.json, whichever is found first. Mapped, so only what is used takes memory.
// CheckpointError says which file is missing or wrong.
TensorMap read_pretrained_tensors(const std::filesystem::path& directory);

}  // namespace capstan
