#include "capstan/train/telemetry.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;
using Figures = std::vector<std::pair<std::string, double>>;

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

}  // namespace

Telemetry::Telemetry(RunDir& directory, TrainerState& state, const TrainerConfig& config, const FlopCounter& flops,
                     const TelemetryOptions& options)
    : directory_(directory),
      state_(state),
      flops_(flops),
      options_(options),
      progress_("train", options.writes ? options.num_steps * options.samples_per_step : 0, "samples",
                state.global_step * options.samples_per_step) {
  if (!options_.writes) return;
  directory_.write_metrics(state_.log_history);
  reporting_.emplace(config, directory_.path(), state_.global_step);
}

double Telemetry::epoch() const {
  return static_cast<double>(state_.position) / static_cast<double>(options_.num_samples);
}

void Telemetry::record(const StepResult& result, std::int64_t step, double seconds, double wait_seconds) {
  ++totals_.steps;
  totals_.step_seconds += seconds;
  LogWindow& window = state_.window;
  window.seconds += seconds;
  window.wait_seconds += wait_seconds;
  window.captions += result.counts.captions;
  window.images += result.counts.images;
  window.tokens += result.counts.tokens;
  window.flops += flops_.flops(result.counts);
  if (!result.skipped) {
    window.loss += result.loss;
    ++window.steps;
  }
  if (!options_.writes) return;
  progress_.set_note(
      fmt::format("step {}/{}  loss {:.4f}  lr {:.2e}", step, options_.num_steps, result.loss, result.learning_rate));
  progress_.advance(options_.samples_per_step);
}

void Telemetry::write_line(const StepResult& result, std::int64_t step) {
  const LogWindow window = std::exchange(state_.window, {});
  if (window.steps == 0) return;
  const auto rate = [&](std::int64_t count) { return per_second(static_cast<double>(count), window.seconds); };
  Figures figures{{"loss", window.loss / static_cast<double>(window.steps)},
                  {"learning_rate", result.learning_rate},
                  {"grad_norm", result.grad_norm},
                  {"captions_per_second", rate(window.captions)},
                  {"images_per_second", rate(window.images)},
                  {"tokens_per_second", rate(window.tokens)},
                  {"data_wait", per_second(window.wait_seconds, window.seconds)}};
  if (options_.peak_flops > 0)
    figures.emplace_back("mfu", per_second(window.flops, window.seconds) / options_.peak_flops);
  if (result.loss_scale != 1) figures.emplace_back("loss_scale", result.loss_scale);
  if (save_seconds_ > 0) figures.emplace_back("save_seconds", std::exchange(save_seconds_, 0.0));
  figures.emplace_back("memory_bytes", static_cast<double>(peak_memory_bytes(options_.device)));
  Json line{{"step", step}, {"epoch", epoch()}};
  for (const auto& [name, value] : figures) line[name] = value;
  append(line.dump());
  if (!options_.writes) return;
  reporting_->scalars("train", step, figures);
  if (progress_visible()) return;
  std::string text = fmt::format("step {}/{}  epoch {:.2f}  loss {:.4f}  lr {:.2e}  {:.1f} captions/s  wait {:.1f} %",
                                 step, options_.num_steps, epoch(), figures[0].second, result.learning_rate,
                                 figures[3].second, 100 * figures[6].second);
  if (options_.peak_flops > 0)
    text += fmt::format("  mfu {:.1f} %", 100 * per_second(window.flops, window.seconds) / options_.peak_flops);
  log_info(text + fmt::format("  {} left", human_duration(progress_.seconds_left())));
}

void Telemetry::record_evaluation(const std::map<std::string, double>& scores, double seconds) {
  Json line{{"step", state_.global_step}, {"epoch", epoch()}};
  std::string text =
      fmt::format("step {}/{}  evaluation in {} ", state_.global_step, options_.num_steps, human_duration(seconds));
  Figures figures;
  for (const auto& [name, value] : scores) {
    line["eval_" + name] = value;
    figures.emplace_back(name, value);
    text += fmt::format("  {} {:.4f}", name, value);
  }
  line["eval_seconds"] = seconds;
  append(line.dump());
  if (!options_.writes) return;
  reporting_->scalars("eval", state_.global_step, figures);
  progress_.pause();
  log_info(text);
}

void Telemetry::record_event(const std::string& event, const Figures& facts, const std::string& message) {
  Json line{{"step", state_.global_step}, {"epoch", epoch()}, {"event", event}};
  for (const auto& [name, value] : facts) line[name] = value;
  append(line.dump());
  if (!options_.writes) return;
  progress_.pause();
  log_warning(message);
}

void Telemetry::record_save(double seconds) {
  save_seconds_ += seconds;
  ++totals_.saves;
  totals_.save_seconds += seconds;
}

std::string Telemetry::saves_text() const {
  if (totals_.saves == 0 || totals_.steps == 0) return "";
  const double each = totals_.save_seconds / static_cast<double>(totals_.saves);
  const double step = totals_.step_seconds / static_cast<double>(totals_.steps);
  return fmt::format("{} save{} held training for {:.0f} ms each, {:.1f} steps' time", totals_.saves,
                     totals_.saves == 1 ? "" : "s", 1e3 * each, each / step);
}

void Telemetry::rolled_back() {
  if (!options_.writes) return;
  behind_ = true;  // the next line rewrites the file
  reporting_->go_on_after(state_.global_step);
}

// A full disk is no reason to lose the training: lines that could not be written follow with the next that can.
void Telemetry::append(const std::string& line) {
  state_.log_history.push_back(line);
  if (!options_.writes) return;
  try {
    if (behind_)
      directory_.write_metrics(state_.log_history);
    else
      directory_.append_metrics(line);
    behind_ = false;
  } catch (const DataError& error) {
    if (!behind_) log_warning(fmt::format("{}; training goes on, later lines will bring this one", error.what()));
    behind_ = true;
  }
}

}  // namespace capstan
