// Exporters into a temporary folder, checks, report, rename.
#include "capstan/export/export_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/core/version.h"

namespace capstan {
namespace {

constexpr const char* kReport = "export_report.json";

FormatReport run_exporter(const ExporterEntry& exporter, Captioner& captioner, const ExportOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  FormatReport report{.format = exporter.name};
  report.files = exporter.run(captioner, options);
  if (exporter.verify) report.checks = exporter.verify(captioner, options);
  for (const ParityCheck& check : report.checks)
    if (!(check.max_abs_diff <= check.tolerance))
      throw Error(
          fmt::format("{}: {} differ from the source model by {:.3g}, allowed are {:.3g}; nothing was written to "
                      "the output folder",
                      exporter.name, check.what, check.max_abs_diff, check.tolerance));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::map<std::string, std::uint64_t> files_of(const ExportReport& report) {
  std::map<std::string, std::uint64_t> files;
  for (const FormatReport& format : report.formats)
    for (const ExportedFile& file : format.files) files[file.path.generic_string()] = file.bytes;
  return files;
}

nlohmann::ordered_json to_json(const ExportReport& report, const ExportOptions& options) {
  nlohmann::ordered_json formats = nlohmann::ordered_json::object();
  for (const FormatReport& format : report.formats) {
    nlohmann::ordered_json checks = nlohmann::ordered_json::array();
    for (const ParityCheck& check : format.checks)
      checks.push_back({{"what", check.what}, {"max_abs_diff", check.max_abs_diff}, {"tolerance", check.tolerance}});
    nlohmann::ordered_json names = nlohmann::ordered_json::array();
    for (const ExportedFile& file : format.files) names.push_back(file.path.generic_string());
    formats[format.format] = {{"seconds", format.seconds}, {"checks", checks}, {"files", names}};
  }
  if (formats.contains("onnx")) formats["onnx"]["cross_attention"] = options.cross_attention;
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  for (const auto& [path, bytes] : files_of(report)) files[path] = bytes;
  return {
      {"capstan", version()}, {"dtype", "float32"}, {"bytes", report.bytes}, {"formats", formats}, {"files", files}};
}

// Sets an old output aside while the new one takes its place, and puts it back when that fails.
class Replacement {
 public:
  explicit Replacement(const fs::path& directory)
      : directory_(directory),
        aside_(directory.parent_path() / fmt::format(".{}.old", directory.filename().string())) {}
  ~Replacement() {
    std::error_code ignored;
    if (set_aside_ && !fs::exists(directory_, ignored))
      fs::rename(aside_, directory_, ignored);
    else if (set_aside_)
      fs::remove_all(aside_, ignored);
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  void set_aside() {
    if (!fs::exists(directory_)) return;
    fs::remove_all(aside_);
    fs::rename(directory_, aside_);
    set_aside_ = true;
  }

 private:
  fs::path directory_, aside_;
  bool set_aside_ = false;
};

void check_formats(const std::vector<std::string>& formats) {
  if (formats.empty()) throw ConfigError(fmt::format("formats is empty; known: {}", join(exporters().names(), ", ")));
  for (const auto& name : formats) exporters().find(name);
}

// An absolute path without a final slash, so that the folder has a name and a parent.
fs::path normal_output(const fs::path& output) {
  if (output.empty()) throw ConfigError("output is empty; name a folder to write to");
  fs::path path = fs::absolute(output).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// The source may not lie in the folder that is about to be replaced.
void check_source(const fs::path& model, const fs::path& output) {
  const fs::path source = fs::weakly_canonical(model), target = fs::weakly_canonical(output);
  const auto [end, unused] = std::mismatch(target.begin(), target.end(), source.begin(), source.end());
  if (end == target.end())
    throw ConfigError(
        fmt::format("{}: the output folder holds the model that is exported; choose another output", output.string()));
}

}  // namespace

ExportReport export_model(const ExportOptions& options, const std::vector<std::string>& formats) {
  check_formats(formats);
  if (options.cross_attention != "absorb" && options.cross_attention != "plain")
    throw ConfigError("cross_attention is '" + options.cross_attention + "', expected 'absorb' or 'plain'");
  const fs::path output = normal_output(options.output);
  check_source(options.model, output);
  Captioner captioner(options.model, {.device = "cpu", .dtype = "float32"});
  require_output_directory(output, options.overwrite);

  ExportReport report;
  Replacement replacement(output);
  write_directory_atomic(output, [&](const fs::path& temporary) {
    ExportOptions inside = options;
    inside.output = temporary;
    for (const auto& name : formats) {
      log_info(fmt::format("exporting {}", name));
      report.formats.push_back(run_exporter(exporters().find(name), captioner, inside));
    }
    for (const auto& [path, bytes] : files_of(report)) report.bytes += bytes;
    write_json(temporary / kReport, to_json(report, options));
    replacement.set_aside();
  });
  return report;
}

std::string format_export(const ExportReport& report) {
  std::string text;
  std::set<fs::path> listed;  // formats share their settings: each file is named once
  for (const FormatReport& format : report.formats) {
    text += fmt::format("{} ({})\n", format.format, human_duration(format.seconds));
    for (const ExportedFile& file : format.files)
      if (listed.insert(file.path).second)
        text += fmt::format("  {:<40} {:>10}\n", file.path.generic_string(), human_bytes(file.bytes));
    for (const ParityCheck& check : format.checks)
      text += fmt::format("  check: {}: {:.3g} (allowed {:.3g})\n", check.what, check.max_abs_diff, check.tolerance);
  }
  return text + fmt::format("total {}\n", human_bytes(report.bytes));
}

}  // namespace capstan
