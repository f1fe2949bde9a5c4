// How the learning rate changes over time. A schedule is a function without memory: resuming needs no state.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/core/registry.h"

namespace capstan {

// lr_scheduler_kwargs of transformers. A key that is not given is decided by the schedule; one that the schedule does
// not take is a mistake, so every key can tell whether it was given.
struct ScheduleKwargs {
  std::optional<double> num_cycles;
  std::optional<double> power;
  std::optional<double> lr_end;
  std::optional<std::int64_t> timescale;
  std::optional<std::int64_t> num_stable_steps;
  std::optional<std::int64_t> num_decay_steps;
  std::optional<std::string> warmup_type;
  std::optional<std::string> decay_type;
  std::optional<double> min_lr_ratio;
  std::optional<double> min_lr;
  std::optional<double> min_lr_rate;

  template <class Visitor>
  void fields(Visitor& v) {
    v("num_cycles", num_cycles,
      "cosine, cosine_with_min_lr, warmup_stable_decay: waves (0.5: one fall); cosine_with_restarts: falls (1).",
      at_least(0));
    v("power", power, "polynomial: exponent (1).", at_least(0));
    v("lr_end", lr_end, "polynomial: rate at the end (1e-7).", at_least(0));
    v("timescale", timescale, "inverse_sqrt: updates until the rate starts to fall (those of the warmup, or 10000).",
      at_least(1));
    v("num_stable_steps", num_stable_steps, "warmup_stable_decay: updates at the peak (all that are left).",
      at_least(0));
    v("num_decay_steps", num_decay_steps, "warmup_stable_decay: updates of the fall; must be given.", at_least(0));
    v("warmup_type", warmup_type, "warmup_stable_decay: shape of the rise (linear).",
      one_of({"linear", "cosine", "1-sqrt"}));
    v("decay_type", decay_type, "warmup_stable_decay: shape of the fall (cosine).",
      one_of({"linear", "cosine", "1-sqrt"}));
    v("min_lr_ratio", min_lr_ratio, "warmup_stable_decay: lowest rate as a share of the peak (0).", between(0, 1));
    v("min_lr", min_lr, "cosine_with_min_lr: lowest rate; this or min_lr_rate must be given.", at_least(0));
    v("min_lr_rate", min_lr_rate, "cosine_with_min_lr: the same as a share of the peak.", between(0, 1));
  }
};

struct ScheduleOptions {
  std::int64_t num_warmup_steps = 0;
  std::int64_t num_training_steps = 1;
  double learning_rate = 1;  // the peak, for options that are rates
  ScheduleKwargs kwargs{};
};

struct ScheduleEntry {
  std::string name;  // as lr_scheduler_type of transformers
  std::string summary;
  // Factor on the peak rate for update number `step`, counted from 0.
  double (*factor)(std::int64_t step, const ScheduleOptions& options) = nullptr;
  std::vector<std::string> kwargs{};  // keys of ScheduleKwargs that it takes
  // What is wrong with their values beyond the limits of each; null where nothing can be.
  void (*check)(const ScheduleKwargs& kwargs, double learning_rate, std::vector<std::string>& problems) = nullptr;
};
const Registry<ScheduleEntry>& schedules();

// Adds what is wrong with the options of schedule `name`: keys that it does not take, keys that it needs, and rates
// above `learning_rate` where that is given. A name that is no schedule adds nothing.
void check_schedule_kwargs(const std::string& name, const ScheduleKwargs& kwargs, std::vector<std::string>& problems,
                           double learning_rate = std::numeric_limits<double>::infinity());

// What schedules are made of.
// step / num_warmup_steps: what every schedule with warmup does before its own shape starts.
double warmup_factor(std::int64_t step, const ScheduleOptions& options);
// Share of the updates after the warmup that are done.
double decay_progress(std::int64_t step, const ScheduleOptions& options);
// A cosine from 1 at progress 0 to 0 half a wave later; `num_cycles` waves until progress is 1.
double cosine_wave(double progress, double num_cycles);

}  // namespace capstan
