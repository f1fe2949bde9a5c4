// One call from a model folder to a folder that other programs run:
//
//   capstan::export_model({.model = "checkpoint-900", .output = "release"}, {"huggingface", "onnx"});
#pragma once
#include <string>
#include <vector>

#include "capstan/export/exporter.h"

namespace capstan {

struct FormatReport {
  std::string format;
  std::vector<ExportedFile> files;
  std::vector<ParityCheck> checks;
  double seconds = 0;
};

struct ExportReport {
  std::vector<FormatReport> formats;
  std::uint64_t bytes = 0;  // of all files, each counted once
};

// Runs the exporters called `formats` into a temporary folder beside the output, reads back what our program can run,
// adds export_report.json and renames the folder into place: the output is complete or as it was before.
// ConfigError for an unknown format or option, DataError for an output folder that holds files (unless `overwrite`),
// Error when what was written differs from the source model by more than a check allows.
ExportReport export_model(const ExportOptions& options, const std::vector<std::string>& formats);

// A few lines for people: what was written, how large it is and how far it is from the source.
std::string format_export(const ExportReport& report);

}  // namespace capstan
