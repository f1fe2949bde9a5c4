// Shared by the files about adapters: names of layers in published weights and in transformers 5, and
// adapter_config.json.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "capstan/models/adapters.h"

namespace capstan {

// The name that transformers 5 gives the module or parameter of this published name; peft writes and expects those.
std::string transformers_name(std::string name);

// Whether the module or parameter belongs to a pooling head, which a captioner does not compute.
bool is_unused(const std::string& name);

// Names of the model's parameters that belong to modules_to_save, without adapters.
std::vector<std::string> saved_parameters(const VisionEncoderDecoder& model, const LoraConfig& config);

// CheckpointError when the file is missing or broken, UnsupportedError for more than plain LoRA.
LoraConfig read_adapter_config(const std::filesystem::path& directory);
// `targets` and `saved` are names of modules in transformers 5.
void write_adapter_config(const LoraConfig& config, const std::vector<std::string>& targets,
                          const std::vector<std::string>& saved, const std::string& base,
                          const std::filesystem::path& directory);

}  // namespace capstan
