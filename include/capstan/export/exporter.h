// A trained captioner in a form other programs run.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "capstan/core/registry.h"
#include "capstan/generate/captioner.h"

namespace capstan {

struct ExportOptions {
  std::filesystem::path model;             // Hugging Face folder to export
  std::filesystem::path output;            // folder to fill
  std::string cross_attention = "absorb";  // ONNX: "absorb" or "plain", compared in docs/export.md
  bool overwrite = false;                  // replace an output folder that holds files
};

struct ExportedFile {
  std::filesystem::path path;  // relative to the output
  std::uint64_t bytes = 0;
};

// What reading a written file back and running it gave.
struct ParityCheck {
  std::string what;         // "logits of a random picture"
  double max_abs_diff = 0;  // against the source model
  double tolerance = 0;
};

struct ExporterEntry {
  std::string name;  // "huggingface", "torchscript", "onnx"
  std::string summary;
  // Writes into `options.output` (already there) and returns what it wrote.
  std::function<std::vector<ExportedFile>(Captioner& captioner, const ExportOptions& options)> run;
  // Reads back what run() wrote and compares it with the source; empty where this program has no runtime for the
  // format. Throws Error when what was written does not even load.
  std::function<std::vector<ParityCheck>(Captioner& captioner, const ExportOptions& options)> verify;
};
const Registry<ExporterEntry>& exporters();

}  // namespace capstan
