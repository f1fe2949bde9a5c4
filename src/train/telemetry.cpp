#include "capstan/train/telemetry.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/log.h"
#include "capstan/core/strings.h"

namespace capstan {

using Json = nlohmann::ordered_json;

Telemetry::Telemetry(RunDir& directory, TrainerState& state, std::int64_t logging_steps, std::int64_t num_steps,
                     std::int64_t num_samples, std::int64_t captions_per_step)
    : directory_(directory),
      state_(state),
      logging_steps_(logging_steps),
      num_steps_(num_steps),
      num_samples_(num_samples),
      progress_("train", num_steps * captions_per_step, "captions", state.global_step * captions_per_step) {
  directory_.write_metrics(state_.log_history);
}

double Telemetry::epoch() const { return static_cast<double>(state_.position) / static_cast<double>(num_samples_); }

void Telemetry::record(const StepResult& result) {
  LogWindow& window = state_.window;
  window.seconds += result.seconds;
  window.captions += result.num_captions;
  if (result.skipped) {
    record_skipped(result);
  } else {
    window.loss += result.loss;
    ++window.steps;
  }
  progress_.set_note(fmt::format("step {}/{}  loss {:.4f}  lr {:.2e}", state_.global_step, num_steps_, result.loss,
                                 result.learning_rate));
  progress_.advance(result.num_captions);
  if (state_.global_step % logging_steps_ == 0 || state_.global_step == num_steps_) write_line(result);
}

void Telemetry::write_line(const StepResult& result) {
  LogWindow& window = state_.window;
  if (window.steps == 0) return;
  const double loss = window.loss / static_cast<double>(window.steps);
  const double speed = window.seconds > 0 ? static_cast<double>(window.captions) / window.seconds : 0;
  append(Json{{"step", state_.global_step},
              {"epoch", epoch()},
              {"loss", loss},
              {"learning_rate", result.learning_rate},
              {"grad_norm", result.grad_norm},
              {"captions_per_second", speed}}
             .dump());
  if (!progress_visible())
    log_info(fmt::format("step {}/{}  epoch {:.2f}  loss {:.4f}  lr {:.2e}  {:.1f} captions/s  {} left",
                         state_.global_step, num_steps_, epoch(), loss, result.learning_rate, speed,
                         human_duration(progress_.seconds_left())));
  window = {};
}

void Telemetry::record_skipped(const StepResult& result) {
  progress_.pause();
  log_warning(fmt::format("step {}: update skipped, the loss is {} and the gradient norm {}", state_.global_step,
                          result.loss, result.grad_norm));
  append(Json{{"step", state_.global_step}, {"epoch", epoch()}, {"event", "update_skipped"}}.dump());
}

void Telemetry::record_evaluation(const std::map<std::string, double>& scores, double seconds) {
  Json line{{"step", state_.global_step}, {"epoch", epoch()}};
  std::string text =
      fmt::format("step {}/{}  evaluation in {} ", state_.global_step, num_steps_, human_duration(seconds));
  for (const auto& [name, value] : scores) {
    line["eval_" + name] = value;
    text += fmt::format("  {} {:.4f}", name, value);
  }
  line["eval_seconds"] = seconds;
  append(line.dump());
  progress_.pause();
  log_info(text);
}

void Telemetry::append(const std::string& line) {
  state_.log_history.push_back(line);
  directory_.append_metrics(line);
}

}  // namespace capstan
