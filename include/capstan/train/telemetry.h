// What people see of a run: progress, log lines and metrics.jsonl.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/progress.h"
#include "capstan/train/state.h"
#include "capstan/train/step.h"

namespace capstan {

class Telemetry {
 public:
  // `state` and `directory` are used until the object goes. Rewrites metrics.jsonl from the state's history, so that
  // lines written after the checkpoint that a run continues from are gone.
  Telemetry(RunDir& directory, TrainerState& state, std::int64_t logging_steps, std::int64_t num_steps,
            std::int64_t num_samples, std::int64_t captions_per_step);

  // Called after each update: moves the progress on and, every logging_steps, writes a line with the mean loss,
  // rate, gradient norm and captions per second since the line before.
  void record(const StepResult& result);
  // Scores of the validation split, written under "eval_<name>".
  void record_evaluation(const std::map<std::string, double>& scores, double seconds);
  // Takes the live line away so that other text can be printed.
  void pause() { progress_.pause(); }
  double captions_per_second() const { return progress_.rate(); }

 private:
  void write_line(const StepResult& result);
  void record_skipped(const StepResult& result);
  void append(const std::string& line);
  double epoch() const;

  RunDir& directory_;
  TrainerState& state_;
  std::int64_t logging_steps_, num_steps_, num_samples_;
  Progress progress_;
};

}  // namespace capstan
