// What bends a run: periods, early stopping, skipped updates, averages, signals, failing saves.
#include <csignal>
#include <fstream>
#include <limits>

#include "capstan/checkpoint/manifest.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/signals.h"
#include "capstan/models/pretrained.h"
#include "support/resource_limit.h"
#include "unit/train/tiny_run.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

std::vector<std::int64_t> steps_with(const fs::path& run, const std::string& key) {
  std::vector<std::int64_t> steps;
  for (const auto& line : metrics_of(run))
    if (line.contains(key)) steps.push_back(line["step"]);
  return steps;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("periods may be epochs and tokens, and the lines say how fast it goes", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(12);  // 24 captions an epoch in batches of 4: 6 updates
  config.logging_steps = "0.5 epochs";
  config.eval_strategy = "steps";
  config.eval_steps = "1 epoch";
  config.eval_max_images = 1;
  config.keep_every = "4 steps";
  config.save_total_limit = 1;
  train(config, temp.path());
  CHECK(steps_with(temp.path(), "loss") == Steps{3, 6, 9, 12});
  CHECK(steps_with(temp.path(), "eval_loss") == Steps{6, 12});
  const auto line = metrics_of(temp.path()).front();
  for (const char* key : {"captions_per_second", "images_per_second", "tokens_per_second", "data_wait", "mfu",
                          "memory_bytes", "learning_rate", "grad_norm"}) {
    INFO(key);
    CHECK(line[key].get<double>() >= 0);
  }
  for (const char* name : {"checkpoint-4", "checkpoint-8", "checkpoint-12"}) CHECK(fs::exists(temp.path() / name));
  std::vector<bool> held;  // by saves since the line before
  for (const auto& each : metrics_of(temp.path()))
    if (each.contains("loss")) held.push_back(each.contains("save_seconds"));
  CHECK(held.at(0) == false);
  CHECK(held.at(1));

  config.logging_steps = "150 tokens";
  train(config, temp.path() / "tokens");
  CHECK(steps_with(temp.path() / "tokens", "loss").size() > 2);
}

TEST_CASE("captions of a picture can be trained on together", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(-1);
  config.num_train_epochs = 1;
  config.captions_per_image = "all";
  config.logging_steps = "1";
  CHECK(train(config, temp.path()).step == 3);  // 12 pictures in batches of 4, with two captions each
  const auto state = read_json(temp.path() / "checkpoint-3/trainer_state.json");
  CHECK(state["position"] == 12);
  const auto line = metrics_of(temp.path()).front();
  CHECK(line["captions_per_second"].get<double>() == Approx(2 * line["images_per_second"].get<double>()));
}

TEST_CASE("training ends early when the score stays, and a finished run is left alone", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(40);
  config.learning_rate = 0;
  config.eval_strategy = "steps";
  config.eval_steps = "2";
  config.eval_max_images = 1;
  config.early_stopping = {{.metric = "loss", .patience = 3}};
  const TrainResult result = train(config, temp.path());
  CHECK(result.step == 8);  // best at 2, not better at 4, 6 and 8
  CHECK(result.ended == "early_stopping");
  CHECK_FALSE(result.stopped);
  CHECK(train(config, temp.path()).step == 8);
  config.early_stopping.clear();
  config.max_steps = 10;
  CHECK(train(config, temp.path()).step == 10);
}

TEST_CASE("a best checkpoint of the evaluation that ends a run knows that it has ended", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(40);
  config.eval_strategy = "steps";
  config.eval_steps = "2";
  config.eval_max_images = 1;
  config.keep_every = "4";
  config.metric_for_best_model = "loss";
  config.early_stopping = {{.metric = "rougeL", .patience = 1}};  // 0 from the start, while the loss falls
  const TrainResult result = train(config, temp.path());
  CHECK(result.step == 4);
  const auto state = read_json(temp.path() / "checkpoint-4/trainer_state.json");
  CHECK(state["best_model_checkpoint"] == "checkpoint-4");
  CHECK(state["ended"] == "early_stopping");
  CHECK(state["kept"] == std::vector<int>{4});
}

TEST_CASE("max_time ends a run with a checkpoint", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(1000000);
  config.max_time = "0.3 seconds";
  const TrainResult result = train(config, temp.path());
  CHECK(result.ended == "max_time");
  CHECK(result.step < 1000000);
  CHECK(verify_manifest(result.checkpoint).empty());
  config.max_time.clear();
  config.max_steps = result.step + 1;
  CHECK(train(config, temp.path()).step == result.step + 1);
}

TEST_CASE("averaged weights are evaluated, saved as a model, and go on exactly", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(8);
  config.ema.decay = 0.9;
  config.save_steps = "4";
  const TrainResult straight = train(config, temp.path() / "straight");
  const auto average = load_pretrained(straight.checkpoint / "ema");
  const auto model = load_pretrained(straight.checkpoint);
  const std::string name = "decoder.transformer.wte.weight";
  CHECK_FALSE(average->state().at(name).equal(model->state().at(name)));

  train(config, temp.path() / "broken");
  fs::remove_all(temp.path() / "broken/checkpoint-8");
  const TrainResult broken = train(config, temp.path() / "broken");
  CHECK(weights(broken.checkpoint) == weights(straight.checkpoint));
  CHECK(weights(broken.checkpoint / "ema") == weights(straight.checkpoint / "ema"));
}

TEST_CASE("after too many skipped updates a run goes back and on with other data", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(200);
  config.learning_rate = 0;  // losses go up and down around their mean
  config.save_steps = "4";
  config.guard = {
      .max_skipped_updates = 1, .loss_spike = 1e-9, .window = 10, .on_too_many = "rollback", .max_rollbacks = 2};
  config.logging_steps = "1";
  RunDir directory(temp.path());
  Trainer trainer(config, tiny_parts());
  // From the eleventh update on every loss above the mean is a spike, and two in a row are too many.
  CHECK_THROWS_WITH(trainer.fit(directory), ContainsSubstring("after 2 rollbacks"));
  std::int64_t rollbacks = 0;
  for (const auto& line : metrics_of(temp.path())) rollbacks += line.value("event", "") == "rolled_back" ? 1 : 0;
  CHECK(rollbacks == 2);
  CHECK(trainer.state().position > 4 * trainer.state().global_step);  // other data than the first time
}

TEST_CASE("SIGUSR1 asks for a checkpoint and training goes on", "[train][control]") {
  const TempDir temp;
  install_stop_handlers();
  std::raise(SIGUSR1);
  const TrainResult result = train(tiny_config(5), temp.path());
  CHECK_FALSE(result.stopped);
  CHECK(checkpoint_names(temp.path()) == Names{"checkpoint-1", "checkpoint-5"});
}

TEST_CASE("a checkpoint that cannot be written leaves the others and the training", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(2);
  train(config, temp.path());
  config.max_steps = 6;
  config.save_steps = "2";
  config.report_to.clear();
  config.async_save = GENERATE(true, false);
  {
    const ResourceLimit limit(RLIMIT_FSIZE, 8 << 10);  // metrics fit, weights do not: a full disk
    RunDir directory(temp.path());
    Trainer trainer(config, tiny_parts());
    trainer.restore(directory, "auto");
    CHECK_THROWS_AS(trainer.fit(directory), Error);
    CHECK(trainer.state().global_step == 6);  // to the end all the same
  }
  CHECK(checkpoint_names(temp.path()) == Names{"checkpoint-2"});
  CHECK(verify_manifest(temp.path() / "checkpoint-2").empty());
  std::int64_t failures = 0;
  for (const auto& line : metrics_of(temp.path())) failures += line.value("event", "") == "save_failed" ? 1 : 0;
  CHECK(failures >= 1);
  CHECK(train(config, temp.path()).step == 6);
  CHECK(checkpoint_names(temp.path()) == Names{"checkpoint-2", "checkpoint-4", "checkpoint-6"});
}

TEST_CASE("the event hook hears of start, best and end", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(2);
  config.eval_strategy = "steps";
  config.eval_steps = "2";
  config.eval_max_images = 1;
  config.on_event = "echo \"$CAPSTAN_EVENT $CAPSTAN_STEP\" >> \"$CAPSTAN_RUN/heard\"";
  train(config, temp.path());
  CHECK(read_file(temp.path() / "heard") == "start 0\nbest 2\nend 2\n");
}

TEST_CASE("a profile is a trace of five updates", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(20);
  config.profile = true;
  train(config, temp.path());
  const auto trace = nlohmann::json::parse(read_file(temp.path() / "trace.json"));
  CHECK(trace["traceEvents"].size() > 100);
}

TEST_CASE("samples and environment are written for the report", "[train][control]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(4);
  config.eval_strategy = "steps";
  config.eval_steps = "2";
  config.report_images = 2;
  train(config, temp.path());
  const auto samples = read_json(temp.path() / "samples.json");
  CHECK(samples["pictures"].size() == 2);
  CHECK(samples["captions"].size() == 2);
  CHECK(samples["captions"][1]["step"] == 4);
  CHECK(read_json(temp.path() / "environment.json").contains("LibTorch"));
  CHECK(fs::file_size(temp.path() / "report.html") > 1000);
  CHECK_FALSE(fs::is_empty(temp.path() / "tensorboard"));
}
