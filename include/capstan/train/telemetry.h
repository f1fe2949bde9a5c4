// What people see of a run: progress, log lines, metrics.jsonl and reports. The other processes of a run keep the same
// history without writing it.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/progress.h"
#include "capstan/eval/evaluator.h"
#include "capstan/train/reporting.h"
#include "capstan/train/state.h"
#include "capstan/train/step.h"
#include "capstan/train/throughput.h"

namespace capstan {

struct TelemetryOptions {
  std::int64_t num_steps = 1;
  std::int64_t num_samples = 1;       // in an epoch
  std::int64_t samples_per_step = 1;  // over all processes
  bool writes = true;                 // false: not the main process
  double peak_flops = 0;              // of all processes together; 0: unknown
  c10::Device device = c10::kCPU;
};

class Telemetry {
 public:
  // `state`, `directory` and `flops` are used until the object goes. Rewrites metrics.jsonl from the state's history,
  // so that lines written after the checkpoint that a run continues from are gone.
  Telemetry(RunDir& directory, TrainerState& state, const TrainerConfig& config, const FlopCounter& flops,
            const TelemetryOptions& options);

  // Called after each update with its number and how long it took, `wait_seconds` of it for data.
  void record(const StepResult& result, std::int64_t step, double seconds, double wait_seconds);
  // A line with means and rates since the line before.
  void write_line(const StepResult& result, std::int64_t step);
  // Scores of the validation split, written under "eval_<name>".
  void record_evaluation(const std::map<std::string, double>& scores, double seconds);
  void record_event(const std::string& event, const std::vector<std::pair<std::string, double>>& facts,
                    const std::string& message);
  // A checkpoint was saved, and training stood still for so long.
  void record_save(double seconds);
  // "3 saves held training for 402 ms each, 0.2 steps' time"; empty where there were none.
  std::string saves_text() const;
  // The history was cut back to a checkpoint's.
  void rolled_back();
  // Takes the live line away so that other text can be printed.
  void pause() { progress_.pause(); }
  double samples_per_second() const { return progress_.rate(); }
  Reporting* reporting() { return reporting_ ? &*reporting_ : nullptr; }

 private:
  void append(const std::string& line);
  double epoch() const;

  RunDir& directory_;
  TrainerState& state_;
  const FlopCounter& flops_;
  TelemetryOptions options_;
  std::optional<Reporting> reporting_;
  Progress progress_;
  double save_seconds_ = 0;  // since the last line
  struct {
    std::int64_t steps = 0, saves = 0;
    double step_seconds = 0, save_seconds = 0;
  } totals_;
  bool behind_ = false;  // metrics.jsonl lacks lines that could not be written
};

}  // namespace capstan
