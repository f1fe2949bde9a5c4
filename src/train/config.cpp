#include "capstan/train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "capstan/core/strings.h"
#include "capstan/train/optimizer.h"
#include "capstan/train/period.h"

namespace capstan {
namespace {

std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || last != end) return std::nullopt;
  return number;
}

void require_known(const std::string& key, const std::string& value, const std::vector<std::string>& known,
                   std::vector<std::string>& problems) {
  if (std::find(known.begin(), known.end(), value) == known.end())
    problems.push_back(
        fmt::format("{}: unknown value '{}'; known: {}.{}", key, value, join(known, ", "), did_you_mean(value, known)));
}

void check_max_time(const std::string& text, std::vector<std::string>& problems) {
  if (text.empty()) return;
  const std::size_t before = problems.size();
  check_period("max_time", text, problems);
  if (problems.size() == before && Period::parse(text).unit() != PeriodUnit::kSeconds)
    problems.push_back(fmt::format("max_time: found '{}', expected a time as 90 minutes or 12h", text));
}

}  // namespace

void ParamGroupConfig::check(std::vector<std::string>& problems) const {
  if (params.empty()) problems.emplace_back("params: is empty; name the parameters, as encoder.*");
  if (!learning_rate && !weight_decay) problems.emplace_back("changes nothing: give learning_rate or weight_decay");
}

void ParallelConfig::check(std::vector<std::string>& problems) const {
  const auto number = whole_number(processes);
  if (processes != "auto" && (!number || *number < 1 || *number > 1024))
    problems.push_back(fmt::format("processes: found '{}', expected auto or a number from 1 to 1024", processes));
}

void TrainerConfig::check(std::vector<std::string>& problems) const {
  require_known("optim", optim, optimizers().names(), problems);
  require_known("lr_scheduler_type", lr_scheduler_type, schedules().names(), problems);
  check_schedule_kwargs(lr_scheduler_type, lr_scheduler_kwargs, problems, learning_rate);
  if (max_steps == 0) problems.emplace_back("max_steps: is 0; give a number of updates, or -1 to use num_train_epochs");
  if (adam_beta1 >= 1 || adam_beta2 >= 1) problems.emplace_back("adam_beta1, adam_beta2: must be below 1");
  if (load_best_model_at_end && eval_strategy == "no")
    problems.emplace_back("load_best_model_at_end: needs an evaluation; set eval_strategy to steps or epoch");
  if (!early_stopping.empty() && eval_strategy == "no")
    problems.emplace_back("early_stopping: needs an evaluation; set eval_strategy to steps or epoch");
  if (learning_rate == 0)
    for (const ParamGroupConfig& group : param_groups)
      if (group.learning_rate.value_or(0) > 0)
        problems.emplace_back("param_groups: a group has a learning_rate, but the general one is 0");
  if (bf16 && fp16) problems.emplace_back("bf16, fp16: only one of them can be true");
  if (cuda_graphs && gradient_checkpointing)
    problems.emplace_back("cuda_graphs, gradient_checkpointing: only one of them can be true");
  const auto together = whole_number(captions_per_image);
  if (captions_per_image != "all" && (!together || *together < 1))
    problems.push_back(
        fmt::format("captions_per_image: found '{}', expected all or a number from 1", captions_per_image));
  check_period("logging_steps", logging_steps, problems);
  check_period("eval_steps", eval_steps, problems);
  check_period("save_steps", save_steps, problems);
  if (!keep_every.empty()) check_period("keep_every", keep_every, problems);
  check_max_time(max_time, problems);
  for (const std::string& name : report_to) require_known("report_to", name, {"tensorboard", "html"}, problems);
}

std::int64_t captions_per_image(const TrainerConfig& config) {
  return config.captions_per_image == "all" ? 0 : whole_number(config.captions_per_image).value();
}

std::int64_t samples_per_step(const TrainerConfig& config, int world_size) {
  return std::int64_t{config.per_device_train_batch_size} * config.gradient_accumulation_steps * world_size;
}

std::int64_t num_training_steps(const TrainerConfig& config, std::int64_t num_samples, int world_size) {
  if (config.max_steps > 0) return config.max_steps;
  const auto per_step = static_cast<double>(samples_per_step(config, world_size));
  const double steps = std::ceil(config.num_train_epochs * static_cast<double>(num_samples) / per_step);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

std::int64_t num_warmup_steps(const TrainerConfig& config, std::int64_t num_steps) {
  if (config.warmup_steps > 0) return config.warmup_steps;
  return static_cast<std::int64_t>(std::ceil(config.warmup_ratio * static_cast<double>(num_steps)));
}

}  // namespace capstan
