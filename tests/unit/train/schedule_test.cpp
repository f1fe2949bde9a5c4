#include "capstan/train/schedule.h"

#include "capstan/train/config.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace capstan;

TEST_CASE("schedules give transformers' factors at every step", "[train][schedule]") {
  const auto expected = testing::golden("schedules.json");
  REQUIRE(expected["cases"].size() == 24);
  for (const auto& item : expected["cases"]) {
    const ScheduleOptions options{.num_warmup_steps = item["num_warmup_steps"],
                                  .num_training_steps = item["num_training_steps"]};
    const auto factor = schedules().find(item["name"].get<std::string>()).factor;
    for (std::size_t step = 0; step < item["factors"].size(); ++step) {
      INFO(item["name"] << " warmup " << options.num_warmup_steps << " of " << options.num_training_steps << ", step "
                        << step);
      CHECK(factor(static_cast<std::int64_t>(step), options) ==
            Approx(item["factors"][step].get<double>()).margin(1e-12));
    }
  }
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
