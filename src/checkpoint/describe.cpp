// Runs and checkpoints as text for `capstan inspect`.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/manifest.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr std::size_t kCurveRows = 12;
constexpr double kBarWidth = 48;

// A line that is still being written does not parse and is left out.
std::vector<nlohmann::json> read_metrics(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    auto value = nlohmann::json::parse(line, nullptr, false);
    if (value.is_object()) lines.push_back(std::move(value));
  }
  return lines;
}

std::string loss_curve(const std::vector<nlohmann::json>& metrics) {
  std::vector<std::pair<std::int64_t, double>> points;
  for (const auto& line : metrics)
    if (line.contains("loss") && line["loss"].is_number())
      points.emplace_back(line.value("step", std::int64_t{0}), line["loss"].get<double>());
  if (points.empty()) return "";
  double highest = 0;
  for (const auto& [step, loss] : points) highest = std::max(highest, loss);
  std::string text = "\n  step        loss\n";
  const std::size_t rows = std::min(kCurveRows, points.size());
  for (std::size_t row = 0; row < rows; ++row) {
    const auto& [step, loss] = points[rows == 1 ? 0 : row * (points.size() - 1) / (rows - 1)];
    const double width = highest > 0 ? kBarWidth * std::max(loss, 0.0) / highest : 0;
    text += fmt::format("  {:>8}  {:>8.4f}  {}\n", step, loss, std::string(static_cast<std::size_t>(width), '#'));
  }
  return text;
}

// The last value of each eval_ score.
std::string last_scores(const std::vector<nlohmann::json>& metrics) {
  for (auto line = metrics.rbegin(); line != metrics.rend(); ++line) {
    std::string scores;
    for (const auto& [key, value] : line->items())
      if (key.starts_with("eval_rouge") || key == "eval_loss")
        scores += fmt::format("  {} {:.4f}", key, value.get<double>());
    if (!scores.empty()) return fmt::format("last scores:{} (step {})\n", scores, line->value("step", 0));
  }
  return "";
}

std::uint64_t size_of(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

nlohmann::json read_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "trainer_state.json";
  return fs::is_regular_file(path) ? read_json(path) : nlohmann::json::object();
}

std::string best_line(const nlohmann::json& state) {
  const auto best = state.find("best_model_checkpoint");
  if (best == state.end() || !best->is_string() || !state.contains("best_metric") || !state["best_metric"].is_number())
    return "";
  return fmt::format("best:        {} ({} {:.4f})\n", best->get<std::string>(),
                     state.value("metric_for_best_model", "score"), state["best_metric"].get<double>());
}

// Folders from elsewhere have no manifest; a trainer's checkpoint without one is torn.
std::string integrity(const fs::path& checkpoint) {
  if (!fs::exists(checkpoint / "manifest.json") && !fs::exists(checkpoint / "trainer_state.json"))
    return "a model folder without checksums";
  const auto problems = verify_manifest(checkpoint);
  return problems.empty() ? "complete" : "damaged: " + join(problems, "; ");
}

}  // namespace

std::string describe_run(const fs::path& run) {
  const auto checkpoints = list_checkpoints(run);
  const auto metrics = read_metrics(run / "metrics.jsonl");
  if (checkpoints.empty() && metrics.empty())
    throw CheckpointError(
        fmt::format("{}: not a run: found neither checkpoint-<step> folders nor metrics.jsonl", run.string()));
  std::string text = fmt::format("run:         {}\n", run.string());
  if (!metrics.empty())
    text += fmt::format("last step:   {} (epoch {:.2f})\n", metrics.back().value("step", 0),
                        metrics.back().value("epoch", 0.0));
  if (!checkpoints.empty()) text += best_line(read_state(checkpoints.back().path));
  text += last_scores(metrics);
  text += loss_curve(metrics);
  if (!checkpoints.empty()) text += "\n  checkpoint                    size  state\n";
  for (const CheckpointInfo& checkpoint : checkpoints)
    text += fmt::format("  {:<22}  {:>10}  {}\n", checkpoint.path.filename().string(),
                        human_bytes(size_of(checkpoint.path)), integrity(checkpoint.path));
  return text;
}

std::string describe_checkpoint(const fs::path& checkpoint) {
  const nlohmann::json state = read_state(checkpoint);
  std::string text = fmt::format("checkpoint:  {}\n", checkpoint.string());
  if (!state.empty())
    text += fmt::format("step:        {} of {} (epoch {:.2f})\n", state.value("global_step", 0),
                        state.value("max_steps", 0), state.value("epoch", 0.0));
  text += best_line(state);
  text += fmt::format("state:       {}\n\n  {:<28}  {:>10}\n", integrity(checkpoint), "file", "size");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(checkpoint))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    text += fmt::format("  {:<28}  {:>10}\n", file.filename().string(), human_bytes(fs::file_size(file)));
  return text;
}

}  // namespace capstan
