#include "capstan/report/run_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "report/metrics_line.h"
#include "report/samples.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;

std::string plain(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Points of an earlier pass over the same steps go.
void add_point(Series& series, CurvePoint point) {
  while (!series.empty() && series.back().x >= point.x) series.pop_back();
  series.push_back(point);
}

void add_line(RunData& run, const report::MetricsLine& line) {
  const double step = line.number("step").value_or(static_cast<double>(run.last_step));
  if (!(step >= 0 && step < 1e15)) return;
  run.last_step = static_cast<std::int64_t>(step);
  run.last_epoch = line.number("epoch").value_or(run.last_epoch);
  if (line.text("event")) {
    RunEvent event{.step = run.last_step, .name = *line.text("event"), .details = ""};
    for (const auto& [key, value] : line.others())
      event.details += (event.details.empty() ? "" : ", ") + key + "=" + value;
    run.events.push_back(std::move(event));
    return;
  }
  for (const auto& [key, value] : line.numbers()) {
    if (key == "step" || key == "epoch" || !std::isfinite(value)) continue;
    const bool is_score = key.starts_with("eval_") && key.size() > 5;
    add_point(is_score ? run.scores[key.substr(5)] : run.series[key], {step, value});
  }
}

// A line that is still being written does not parse and is left out.
void read_metrics(RunData& run) {
  std::ifstream file(run.path / "metrics.jsonl");
  report::MetricsLine fields;
  for (std::string line; std::getline(file, line);)
    if (fields.parse(line)) add_line(run, fields);
}

void read_environment(RunData& run) {
  const fs::path path = run.path / "environment.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  const auto value = Json::parse(read_file(path, 16 << 20), nullptr, false);
  if (!value.is_object()) throw DataError("environment.json: is no JSON object");
  for (const auto& [key, entry] : value.items()) run.environment.emplace_back(key, plain(entry));
}

void read_config(RunData& run) {
  std::error_code ignored;
  if (fs::is_regular_file(run.path / "config.yaml", ignored))
    run.config = read_file(run.path / "config.yaml", 16 << 20);
}

// The trainer may be taking old checkpoints away, so nothing that vanishes is an error.
std::uint64_t size_of(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    const auto size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

void read_checkpoints(RunData& run) {
  for (const CheckpointInfo& checkpoint : list_checkpoints(run.path))
    run.checkpoints.push_back({checkpoint.path.filename().string(), checkpoint.step, size_of(checkpoint.path)});
  if (run.checkpoints.empty()) return;
  run.last_step = std::max(run.last_step, run.checkpoints.back().step);
  const fs::path path = run.path / run.checkpoints.back().name / "trainer_state.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  const auto state = read_json(path);
  if (!state.is_object()) throw DataError(path.string() + ": is no JSON object");
  if (const auto steps = state.find("max_steps"); steps != state.end() && steps->is_number_integer())
    run.max_steps = steps->get<std::int64_t>();
  const auto best = state.find("best_model_checkpoint");
  const auto value = state.find("best_metric");
  if (best == state.end() || !best->is_string() || value == state.end() || !value->is_number()) return;
  const auto metric = state.find("metric_for_best_model");
  run.best = BestCheckpoint{best->get<std::string>(),
                            metric != state.end() && metric->is_string() ? metric->get<std::string>() : "score",
                            value->get<double>()};
}

const Series& find_in(const std::map<std::string, Series>& all, const std::string& name) {
  static const Series kNone;
  const auto found = all.find(name);
  return found == all.end() ? kNone : found->second;
}

bool is_run(const RunData& run) {
  std::error_code ignored;
  for (const char* name : {"metrics.jsonl", "config.yaml", "environment.json", "samples.json"})
    if (fs::exists(run.path / name, ignored)) return true;
  return !run.checkpoints.empty();
}

}  // namespace

const Series& RunData::curve(const std::string& key) const { return find_in(series, key); }

const Series& RunData::score(const std::string& name) const { return find_in(scores, name); }

std::vector<std::string> RunData::score_names() const {
  std::vector<std::string> names;
  for (const auto& [name, points] : scores)
    if (name != "seconds") names.push_back(name);
  return names;
}

RunData read_run(const fs::path& path) {
  RunData run;
  run.path = path;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored))
    throw CheckpointError(fmt::format("{}: no such folder, expected one that capstan train wrote", path.string()));
  for (const auto part : {read_metrics, read_config, read_environment, report::read_samples, read_checkpoints}) {
    try {
      part(run);
    } catch (const Error& error) {
      run.notes.emplace_back(error.what());
    } catch (const nlohmann::json::exception& error) {
      run.notes.emplace_back(error.what());
    }
  }
  if (!is_run(run))
    throw CheckpointError(fmt::format(
        "{}: not a run: found neither checkpoint-<step> folders nor metrics.jsonl or config.yaml", path.string()));
  return run;
}

}  // namespace capstan
