// Parts of TrainerConfig that are sections of their own.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capstan/core/fields.h"

namespace capstan {

// Parameters that are trained otherwise than the rest.
struct ParamGroupConfig {
  std::vector<std::string> params;
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;

  template <class Visitor>
  void fields(Visitor& v) {
    v("params", params, "Patterns in the form of freeze; a parameter belongs to the first group that names it.");
    v("learning_rate", learning_rate, "Peak rate of these parameters instead of the general one.", at_least(0));
    v("weight_decay", weight_decay,
      "Their weight decay instead of the general one, biases and normalisation layers included.", at_least(0));
  }
  void check(std::vector<std::string>& problems) const;
};

// How the processes of a run work together.
struct ParallelConfig {
  std::string processes = "auto";
  int zero_stage = 0;
  std::string gradient_compression = "none";
  int ddp_bucket_cap_mb = 25;
  int ddp_timeout = 1800;

  template <class Visitor>
  void fields(Visitor& v) {
    v("processes", processes,
      "Processes that `capstan train` starts on this host: a number, or auto for one per GPU (one on a CPU). Under "
      "torchrun, SLURM or whatever else sets RANK and WORLD_SIZE, those decide.");
    v("zero_stage", zero_stage, "1 shares the optimizer's state out over the processes (ZeRO-1).", between(0, 1));
    v("gradient_compression", gradient_compression, "Send gradients in bfloat16, half the bytes, rounded.",
      one_of({"none", "bf16"}));
    v("ddp_bucket_cap_mb", ddp_bucket_cap_mb, "Megabytes of gradients that are sent together.", between(1, 4096));
    v("ddp_timeout", ddp_timeout, "Seconds after which a process that does not answer is taken for dead.",
      between(1, 86400));
  }
  void check(std::vector<std::string>& problems) const;
};

// A moving average of the weights (Polyak and Juditsky, 1992).
struct EmaConfig {
  double decay = 0;
  bool warmup = true;
  bool evaluate = true;

  template <class Visitor>
  void fields(Visitor& v) {
    v("decay", decay, "Share of the old average that stays at each update, as 0.999; 0 keeps no average.",
      between(0, 0.999999));
    v("warmup", warmup, "Begin with a smaller share: at update t at most (1 + t) / (10 + t).");
    v("evaluate", evaluate, "Evaluate the average instead of the weights; it is saved in CHECKPOINT/ema either way.");
  }
};

// What happens when an update looks wrong.
struct GuardConfig {
  std::int64_t max_skipped_updates = 10;
  double loss_spike = 0;
  std::int64_t window = 100;
  std::int64_t spikes_before_rollback = 0;
  std::string on_too_many = "fail";
  std::int64_t max_rollbacks = 3;

  template <class Visitor>
  void fields(Visitor& v) {
    v("max_skipped_updates", max_skipped_updates,
      "Updates in a row that may be skipped, for a loss or gradient that is not finite or for a spike, before "
      "on_too_many happens.",
      at_least(0));
    v("loss_spike", loss_spike,
      "Skip an update whose loss lies so many standard deviations above the moving mean, as 6; 0 takes every loss.",
      at_least(0));
    v("window", window, "Updates that the moving mean and deviation look back on; no spikes before so many.",
      between(10, 1000000));
    v("spikes_before_rollback", spikes_before_rollback,
      "Skipped updates within one window after which on_too_many happens too; 0: only skips in a row count.",
      at_least(0));
    v("on_too_many", on_too_many, "End with an error, or go back to the last checkpoint and on with other data.",
      one_of({"fail", "rollback"}));
    v("max_rollbacks", max_rollbacks, "Rollbacks after which training ends with an error.", at_least(1));
  }
};

// Ends training when a score no longer gets better (transformers' EarlyStoppingCallback).
struct EarlyStoppingConfig {
  std::string metric;
  std::int64_t patience = 3;
  double threshold = 0;

  template <class Visitor>
  void fields(Visitor& v) {
    v("metric", metric, "Score that must get better; several entries must all have run out of patience.");
    v("patience", patience, "Evaluations in a row that may fail to be better than the best by threshold.", at_least(1));
    v("threshold", threshold, "Least difference that counts as better.", at_least(0));
  }
};

}  // namespace capstan
