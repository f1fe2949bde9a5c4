#include "capstan/train/schedule.h"

#include <set>

#include "capstan/config/load.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/train/config.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace capstan;

namespace {

ScheduleKwargs read_kwargs(const std::string& yaml) {
  ScheduleKwargs kwargs;
  config::Problems problems;
  config::read(config::parse_yaml(yaml, "a.yaml"), kwargs, problems);
  problems.throw_if_any();
  return kwargs;
}

std::vector<std::string> problems_of(const std::string& name, const std::string& yaml, double learning_rate = 1e-3) {
  std::vector<std::string> problems;
  check_schedule_kwargs(name, read_kwargs(yaml), problems, learning_rate);
  return problems;
}

}  // namespace

TEST_CASE("schedules give transformers' rates at every step", "[train][schedule]") {
  const auto expected = testing::golden("schedules.json");
  REQUIRE(expected["cases"].size() >= 130);
  std::set<std::string> names;
  for (const auto& item : expected["cases"]) {
    const std::string name = item["name"], yaml = item["kwargs"].dump();
    const ScheduleOptions options{.num_warmup_steps = item["num_warmup_steps"],
                                  .num_training_steps = item["num_training_steps"],
                                  .learning_rate = item["learning_rate"],
                                  .kwargs = read_kwargs(yaml)};
    names.insert(name);
    CHECK(problems_of(name, yaml, options.learning_rate).empty());
    const auto factor = schedules().find(name).factor;
    for (std::size_t step = 0; step < item["rates"].size(); ++step) {
      INFO(name << " " << yaml << ", warmup " << options.num_warmup_steps << " of " << options.num_training_steps
                << ", step " << step);
      const double rate = item["rates"][step];
      CHECK(factor(static_cast<std::int64_t>(step), options) == Approx(rate / options.learning_rate).margin(1e-12));
    }
  }
  const auto known = schedules().names();
  CHECK(names == std::set<std::string>(known.begin(), known.end()));
}

TEST_CASE("options that were not given are null, and come back from YAML as they were", "[train][schedule][config]") {
  CHECK_FALSE(read_kwargs("{}").num_cycles.has_value());
  CHECK_FALSE(read_kwargs("num_cycles: null").num_cycles.has_value());
  const ScheduleKwargs kwargs = read_kwargs("{num_decay_steps: 30, decay_type: 1-sqrt, min_lr_ratio: 0.1}");
  CHECK(kwargs.num_decay_steps == 30);
  const ScheduleKwargs again = read_kwargs(config::to_yaml(kwargs));
  CHECK(again.num_decay_steps == 30);
  CHECK(again.decay_type == "1-sqrt");
  CHECK(again.min_lr_ratio == 0.1);
  CHECK_FALSE(again.warmup_type.has_value());
}

TEST_CASE("wrong values of a schedule's options are said", "[train][schedule][config]") {
  CHECK_THROWS_WITH(read_kwargs("num_cycle: 2"), ContainsSubstring("Did you mean 'num_cycles'?"));
  CHECK_THROWS_WITH(read_kwargs("decay_type: square"), ContainsSubstring("expected one of: linear, cosine, 1-sqrt"));
  CHECK_THROWS_WITH(read_kwargs("min_lr_ratio: 2"), ContainsSubstring("min_lr_ratio: found 2"));
  CHECK_THROWS_WITH(read_kwargs("num_decay_steps: many"), ContainsSubstring("expected an integer"));
}

TEST_CASE("an option that the schedule does not take is answered with those it takes", "[train][schedule]") {
  CHECK(problems_of("cosine", "num_cycles: 1").empty());
  const auto problems = problems_of("cosine", "{power: 2, num_cycles: 1, timescale: 4}");
  REQUIRE(problems.size() == 2);
  CHECK(problems[0] == "lr_scheduler_kwargs.power: the schedule cosine does not take it; it takes num_cycles");
  CHECK(problems[1].find("lr_scheduler_kwargs.timescale") == 0);
  CHECK(problems_of("linear", "power: 2").at(0).find("it takes no options") != std::string::npos);
  CHECK(problems_of("linaer", "power: 2").empty());  // said where the name is checked
  std::set<std::string> taken;
  for (const auto& [name, entry] : schedules().entries()) taken.insert(entry.kwargs.begin(), entry.kwargs.end());
  for (const std::string& key : taken)
    CHECK(config::to_yaml(ScheduleKwargs{}).find(key + ": null") != std::string::npos);
}

TEST_CASE("options that a schedule needs, and rates above the peak, are said", "[train][schedule]") {
  CHECK(problems_of("warmup_stable_decay", "{}").at(0).find("num_decay_steps: is not given") != std::string::npos);
  CHECK(problems_of("cosine_with_min_lr", "{}").at(0).find("found neither") != std::string::npos);
  CHECK(problems_of("cosine_with_min_lr", "{min_lr: 0, min_lr_rate: 0}").at(0).find("found both") != std::string::npos);
  CHECK(problems_of("cosine_with_min_lr", "min_lr: 0.01").at(0).find("at most learning_rate, which is 0.001") !=
        std::string::npos);
  CHECK(problems_of("cosine_with_min_lr", "min_lr: 0", 0).size() == 1);
  CHECK(problems_of("polynomial", "lr_end: 0.001").at(0).find("less than learning_rate") != std::string::npos);
  CHECK(problems_of("polynomial", "{}", 1e-8).at(0).find("1e-07 (it is not given)") != std::string::npos);
  std::vector<std::string> problems;
  check_schedule_kwargs("polynomial", read_kwargs("lr_end: 0.1"), problems);  // no peak to compare with
  CHECK(problems.empty());
}

TEST_CASE("an unknown schedule is answered with the known ones", "[train][schedule]") {
  CHECK_THROWS_WITH(schedules().find("linaer"), ContainsSubstring("linear") && ContainsSubstring("cosine"));
}

TEST_CASE("the number of steps follows epochs, batch and accumulation unless max_steps is given", "[train][config]") {
  TrainerConfig config;
  config.per_device_train_batch_size = 4;
  config.gradient_accumulation_steps = 2;
  config.num_train_epochs = 2.5;
  CHECK(num_training_steps(config, 100) == 32);  // 250 captions in updates of 8
  config.max_steps = 7;
  CHECK(num_training_steps(config, 100) == 7);
}

TEST_CASE("warmup steps win over the ratio, which is rounded up", "[train][config]") {
  TrainerConfig config;
  config.warmup_ratio = 0.1;
  CHECK(num_warmup_steps(config, 101) == 11);
  config.warmup_steps = 3;
  CHECK(num_warmup_steps(config, 101) == 3);
}

TEST_CASE("a configuration that cannot be carried out is explained", "[train][config]") {
  TrainerConfig config;
  config.optim = "adam";
  config.lr_scheduler_type = "cosin";
  config.max_steps = 0;
  config.eval_strategy = "no";
  config.load_best_model_at_end = true;
  std::vector<std::string> problems;
  config.check(problems);
  REQUIRE(problems.size() == 4);
  CHECK(problems[0].find("known: adamw") != std::string::npos);
  CHECK(problems[1].find("Did you mean 'cosine'?") != std::string::npos);
}
