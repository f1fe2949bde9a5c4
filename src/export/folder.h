// The parts of a model folder that several export formats share.
#pragma once
#include <vector>

#include "capstan/export/exporter.h"

namespace capstan {

// An ExportedFile for a file below `output` that is there.
ExportedFile exported_file(const std::filesystem::path& output, const std::filesystem::path& relative);

// config.json, generation_config.json, preprocessor_config.json and the tokenizer's files: what every runtime of a
// Hugging Face folder reads beside the weights. Writing them twice gives the same bytes.
std::vector<ExportedFile> write_settings(Captioner& captioner, const std::filesystem::path& output);

}  // namespace capstan
