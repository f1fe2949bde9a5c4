// Hugging Face safetensors files, single and sharded, read through a memory map.
// Format: https://huggingface.co/docs/safetensors (8-byte little-endian header size, JSON header, data).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace capstan {

using TensorMap = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

// Tensors share the file's mapping (copy-on-write, private) and keep it alive. CheckpointError when the header,
// an offset, a shape or a type does not fit the file.
TensorMap read_safetensors(const std::filesystem::path& path, Metadata* metadata = nullptr);

// Names in order, data aligned to 8 bytes, metadata {"format": "pt"} plus `metadata`. Written atomically.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const Metadata& metadata = {});

// model.safetensors, or the files that model.safetensors.index.json lists. CheckpointError says which file
// is missing and, where only pytorch_model.bin is there, how to convert it.
TensorMap read_pretrained_tensors(const std::filesystem::path& directory);

}  // namespace capstan
