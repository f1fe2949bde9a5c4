#include "capstan/report/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/manifest.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/report/run_data.h"
#include "report/figures.h"
#include "report/text_plot.h"

namespace capstan {
namespace {

constexpr int kPlotWidth = 92;
constexpr int kPlotRows = 14;

nlohmann::json read_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "trainer_state.json";
  return fs::is_regular_file(path) ? read_json(path) : nlohmann::json::object();
}

// Folders from elsewhere have no manifest; a trainer's checkpoint without one is torn.
std::string integrity(const fs::path& checkpoint) {
  if (!fs::exists(checkpoint / "manifest.json") && !fs::exists(checkpoint / "trainer_state.json"))
    return "a model folder without checksums";
  const auto problems = verify_manifest(checkpoint);
  return problems.empty() ? "complete" : "damaged: " + join(problems, "; ");
}

std::string best_line(const std::string& checkpoint, const std::string& metric, double value) {
  return fmt::format("best:        {} ({} {:.4f})\n", checkpoint, metric, value);
}

std::string speed_line(const RunData& run) {
  std::string text;
  for (const auto& figure : report::speed_figures(run))
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", figure.name, figure.text);
  return text.empty() ? "" : fmt::format("throughput:  {}\n", text);
}

std::string score_table(const RunData& run) {
  std::string text;
  for (const std::string& name : run.score_names()) {
    const Series& series = run.score(name);
    const auto best = best_of(series, name);
    text += fmt::format("  {:<24}  {:>9.4f}  {:>9.0f}  {:>9.4f}  {:>9.0f}\n", name, best->y, best->x, series.back().y,
                        series.back().x);
  }
  return text.empty() ? ""
                      : fmt::format("\n  {:<24}  {:>9}  {:>9}  {:>9}  {:>9}\n", "evaluation", "best", "at step", "last",
                                    "at step") +
                            text;
}

std::string loss_plot(const RunData& run) {
  const Series& loss = run.curve("loss");
  const Series trend = smooth(loss, report::smoothing_window(loss));
  const std::vector<report::TextCurve> curves{{'o', trend}, {'x', run.score("loss")}};
  const std::string plot = report::text_plot(curves, kPlotWidth, kPlotRows);
  return plot.empty() ? "" : "\nloss over steps: o training, x evaluation, * both\n" + plot;
}

}  // namespace

std::string describe_run(const fs::path& path) {
  const RunData run = read_run(path);
  std::string text = fmt::format("run:         {}\n", path.string());
  if (run.last_step > 0)
    text += fmt::format("last step:   {}{} (epoch {:.2f})\n", run.last_step,
                        run.max_steps > 0 ? fmt::format(" of {}", run.max_steps) : "", run.last_epoch);
  if (run.best) text += best_line(run.best->name, run.best->metric, run.best->value);
  text += speed_line(run);
  if (!run.events.empty()) text += fmt::format("events:      {}\n", report::count_events(run));
  text += score_table(run) + loss_plot(run);
  if (!run.checkpoints.empty()) text += fmt::format("\n  {:<22}  {:>10}  {}\n", "checkpoint", "size", "state");
  for (const RunCheckpoint& checkpoint : run.checkpoints)
    text += fmt::format("  {:<22}  {:>10}  {}\n", checkpoint.name, human_bytes(checkpoint.bytes),
                        integrity(path / checkpoint.name));
  for (const std::string& note : run.notes) text += fmt::format("\nleft out: {}\n", note);
  return text;
}

std::string describe_checkpoint(const fs::path& checkpoint) {
  const nlohmann::json state = read_state(checkpoint);
  std::string text = fmt::format("checkpoint:  {}\n", checkpoint.string());
  if (!state.empty())
    text += fmt::format("step:        {} of {} (epoch {:.2f})\n", state.value("global_step", 0),
                        state.value("max_steps", 0), state.value("epoch", 0.0));
  const auto best = state.find("best_model_checkpoint");
  if (best != state.end() && best->is_string() && state.contains("best_metric") && state["best_metric"].is_number())
    text += best_line(best->get<std::string>(), state.value("metric_for_best_model", "score"),
                      state["best_metric"].get<double>());
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
