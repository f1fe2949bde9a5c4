// Files that torch.save wrote (pytorch_model.bin), read without running what their pickle may ask for.
// Format: https://pytorch.org/docs/stable/notes/serialization.html (a zip archive of data.pkl and storages).
#pragma once
#include <filesystem>

#include "capstan/checkpoint/safetensors.h"

namespace capstan {

// The tensors of a state_dict. They share the file's mapping (copy-on-write, private) and keep it alive; tensors that
// shared a storage when they were saved share it again. CheckpointError for anything but tensors under names, for a
// size that does not fit, and, with the command that converts it, for the format of torch before 1.6.
TensorMap read_torch_archive(const std::filesystem::path& path);

}  // namespace capstan
