#include "capstan/train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "capstan/core/strings.h"
#include "capstan/train/optimizer.h"
#include "capstan/train/schedule.h"

namespace capstan {

void TrainerConfig::check(std::vector<std::string>& problems) const {
  const auto require_known = [&](const std::string& key, const std::string& value,
                                 const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), value) == known.end())
      problems.push_back(fmt::format("{}: unknown value '{}'; known: {}.{}", key, value, join(known, ", "),
                                     did_you_mean(value, known)));
  };
  require_known("optim", optim, optimizers().names());
  require_known("lr_scheduler_type", lr_scheduler_type, schedules().names());
  if (max_steps == 0) problems.emplace_back("max_steps: is 0; give a number of updates, or -1 to use num_train_epochs");
  if (adam_beta1 >= 1 || adam_beta2 >= 1) problems.emplace_back("adam_beta1, adam_beta2: must be below 1");
  if (load_best_model_at_end && eval_strategy == "no")
    problems.emplace_back("load_best_model_at_end: needs an evaluation; set eval_strategy to steps or epoch");
}

std::int64_t num_training_steps(const TrainerConfig& config, std::int64_t num_samples) {
  if (config.max_steps > 0) return config.max_steps;
  const double per_step = static_cast<double>(config.per_device_train_batch_size) * config.gradient_accumulation_steps;
  const double steps = std::ceil(config.num_train_epochs * static_cast<double>(num_samples) / per_step);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

std::int64_t num_warmup_steps(const TrainerConfig& config, std::int64_t num_steps) {
  if (config.warmup_steps > 0) return config.warmup_steps;
  return static_cast<std::int64_t>(std::ceil(config.warmup_ratio * static_cast<double>(num_steps)));
}

}  // namespace capstan
