#include "capstan/checkpoint/run_dir.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/manifest.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kTemporary = ".tmp-";  // as core/files names unfinished siblings

std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [last, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || last != end || step < 0) return std::nullopt;
  return step;
}

// Hidden first and then deleted, so that a crash half-way leaves no torn checkpoint under its real name.
void discard(const fs::path& directory) {
  if (!fs::exists(directory)) return;
  const fs::path hidden =
      directory.parent_path() / fmt::format(".{}{}removed", directory.filename().string(), kTemporary);
  fs::remove_all(hidden);
  fs::rename(directory, hidden);
  fs::remove_all(hidden);
}

void remove_leftovers(const fs::path& root) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.find(kTemporary) != std::string::npos) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) {
    log_info(fmt::format("{}: removed, left half-written by an interrupted run", path.string()));
    fs::remove_all(path);
  }
}

}  // namespace

RunDir::RunDir(fs::path root, bool writes) : root_(std::move(root)) {
  if (!writes) return;
  std::error_code error;
  fs::create_directories(root_, error);
  if (error || !fs::is_directory(root_))
    throw DataError(fmt::format("{}: cannot create the run's folder: {}", root_.string(),
                                error ? error.message() : "a file of that name is in the way"));
  remove_leftovers(root_);
}

fs::path RunDir::checkpoint_path(std::int64_t step) const { return root_ / fmt::format("{}{}", kPrefix, step); }

bool RunDir::contains(const fs::path& checkpoint) const {
  std::error_code error;
  const fs::path parent = fs::weakly_canonical(checkpoint / "..", error);
  return !error && fs::equivalent(parent, root_, error) && !error;
}

void RunDir::save_checkpoint(std::int64_t step, const std::function<void(const fs::path&)>& build) {
  const fs::path target = checkpoint_path(step);
  write_directory_atomic(target, [&](const fs::path& temporary) {
    build(temporary);
    write_manifest(temporary);
    discard(target);
  });
}

std::optional<CheckpointInfo> RunDir::newest_valid() const {
  auto checkpoints = list_checkpoints(root_);
  for (auto it = checkpoints.rbegin(); it != checkpoints.rend(); ++it) {
    const auto problems = verify_manifest(it->path);
    if (problems.empty()) return *it;
    log_warning(fmt::format("{}: damaged checkpoint passed over: {}", it->path.string(), join(problems, "; ")));
  }
  return std::nullopt;
}

void RunDir::set_aside_after(std::int64_t step) {
  for (const CheckpointInfo& checkpoint : list_checkpoints(root_)) {
    if (checkpoint.step <= step) continue;
    fs::path aside = checkpoint.path;
    aside += ".superseded";
    discard(aside);
    fs::rename(checkpoint.path, aside);
    log_warning(fmt::format("{}: set aside as {}; the run goes on from step {}", checkpoint.path.string(),
                            aside.filename().string(), step));
  }
}

void RunDir::rotate(std::int64_t limit, const std::string& keep, std::span<const std::int64_t> for_good) {
  if (limit <= 0) return;
  auto checkpoints = list_checkpoints(root_);
  std::erase_if(checkpoints, [&](const CheckpointInfo& checkpoint) {
    return std::find(for_good.begin(), for_good.end(), checkpoint.step) != for_good.end();
  });
  const auto count = static_cast<std::int64_t>(checkpoints.size());
  for (std::int64_t i = 0; i < count - limit; ++i) {
    const fs::path& path = checkpoints[static_cast<std::size_t>(i)].path;
    if (path.filename() != keep) discard(path);
  }
}

void RunDir::write_config(std::string_view yaml) { write_file_atomic(root_ / "config.yaml", yaml); }

void RunDir::write_metrics(std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  write_file_atomic(root_ / "metrics.jsonl", text);
}

void RunDir::append_metrics(const std::string& line) {
  std::ofstream file(root_ / "metrics.jsonl", std::ios::app);
  file << line << '\n' << std::flush;
  if (!file) throw DataError(fmt::format("{}: cannot be written", (root_ / "metrics.jsonl").string()));
}

std::vector<CheckpointInfo> list_checkpoints(const fs::path& run) {
  std::vector<CheckpointInfo> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run, error))
    if (const auto step = step_of(entry.path().filename().string()); step && entry.is_directory())
      found.push_back({entry.path(), *step});
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

void require_valid_checkpoint(const fs::path& checkpoint) {
  const auto problems = verify_manifest(checkpoint);
  if (problems.empty()) return;
  throw CheckpointError(
      fmt::format("{}: not a complete checkpoint: {}. Choose another one, or resume=auto to take the "
                  "newest that is whole.",
                  checkpoint.string(), join(problems, "; ")));
}

namespace {

// Folder of the last stage ("02-whole") that has a checkpoint; empty where there are none.
fs::path last_stage(const fs::path& run) {
  std::vector<fs::path> stages;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run, error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t digits = name.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string::npos || name[digits] != '-') continue;
    if (!list_checkpoints(entry.path()).empty()) stages.push_back(entry.path());
  }
  return stages.empty() ? fs::path() : *std::max_element(stages.begin(), stages.end());
}

}  // namespace

fs::path resolve_model_directory(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error))
    throw CheckpointError(fmt::format("{}: no such folder; expected a model folder or a run", path.string()));
  if (fs::is_regular_file(path / "config.json", error)) return path;
  auto checkpoints = list_checkpoints(path);
  if (checkpoints.empty())
    if (const fs::path stage = last_stage(path); !stage.empty()) return resolve_model_directory(stage);
  while (!checkpoints.empty() && !verify_manifest(checkpoints.back().path).empty()) checkpoints.pop_back();
  if (checkpoints.empty())
    throw CheckpointError(
        fmt::format("{}: found neither config.json (a model folder) nor a complete checkpoint-<step> "
                    "folder (a run)",
                    path.string()));
  const nlohmann::json state = read_json(checkpoints.back().path / "trainer_state.json");
  if (const auto best = state.find("best_model_checkpoint"); best != state.end() && best->is_string()) {
    const fs::path best_path = path / best->get<std::string>();
    if (verify_manifest(best_path).empty()) return best_path;
    log_warning(fmt::format("{}: the best checkpoint is damaged or gone, using {}", best_path.string(),
                            checkpoints.back().path.filename().string()));
  }
  return checkpoints.back().path;
}

}  // namespace capstan
