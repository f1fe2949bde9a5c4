#include "capstan/train/trainer.h"

#include <csignal>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "capstan/checkpoint/manifest.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/signals.h"
#include "capstan/train/validation.h"
#include "unit/train/tiny_run.h"

using namespace capstan;
using namespace capstan::testing;

TEST_CASE("stopping and going on gives the weights of not stopping, byte for byte", "[train][resume]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(40);
  config.gradient_accumulation_steps = 2;
  const int save_steps = GENERATE(20, 17);  // 17 is not on a log line: the sums since the last line travel too
  config.save_steps = std::to_string(save_steps);
  config.async_save = save_steps == 20;
  config.dataloader_num_workers = save_steps == 20 ? 1 : 3;
  train(config, temp.path() / "straight");

  train(config, temp.path() / "broken");
  for (const auto& checkpoint : list_checkpoints(temp.path() / "broken"))
    if (checkpoint.step != save_steps) fs::remove_all(checkpoint.path);
  REQUIRE(checkpoint_names(temp.path() / "broken").size() == 1);
  const TrainResult result = train(config, temp.path() / "broken");

  CHECK(result.step == 40);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "rng_state.safetensors"}) {
    INFO(file);
    CHECK(read_file(temp.path() / "straight/checkpoint-40" / file) ==
          read_file(temp.path() / "broken/checkpoint-40" / file));
  }
  const auto straight = metrics_of(temp.path() / "straight"), broken = metrics_of(temp.path() / "broken");
  REQUIRE(straight.size() == 8);
  REQUIRE(broken.size() == 8);
  for (std::size_t i = 0; i < straight.size(); ++i)
    for (const char* key : {"step", "epoch", "loss", "learning_rate", "grad_norm"})
      CHECK(straight[i][key] == broken[i][key]);
}

TEST_CASE("another seed gives other weights", "[train][resume]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(5);
  train(config, temp.path() / "a");
  config.seed = 43;
  train(config, temp.path() / "b");
  CHECK(weights(temp.path() / "a/checkpoint-5") != weights(temp.path() / "b/checkpoint-5"));
}

TEST_CASE("training lowers the loss and learns the colours of pictures", "[train][trainer]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(300);
  config.logging_steps = "50";
  config.eval_strategy = "steps";
  config.eval_steps = "150";
  RunDir directory(temp.path());
  Trainer trainer(config, tiny_parts(0));
  const TrainResult result = trainer.fit(directory);
  const auto lines = metrics_of(temp.path());
  CHECK(lines[lines.size() - 2]["loss"].get<double>() < 0.5 * lines[0]["loss"].get<double>());
  CHECK(result.best_metric.value() > 0.5);
  CHECK(lines.back().contains("eval_rougeL"));
  CHECK(lines.back().contains("eval_loss"));
  CHECK_FALSE(result.stopped);
}

TEST_CASE("a checkpoint is a complete model folder with trainer state", "[train][checkpoint]") {
  const TempDir temp;
  const TrainResult result = train(tiny_config(2), temp.path());
  for (const char* file : {"config.json", "model.safetensors", "generation_config.json", "preprocessor_config.json",
                           "tokenizer.json", "tokenizer_config.json", "optimizer.safetensors", "rng_state.safetensors",
                           "trainer_state.json", "manifest.json"}) {
    INFO(file);
    CHECK(fs::exists(result.checkpoint / file));
  }
  CHECK(verify_manifest(result.checkpoint).empty());
  CHECK(read_generation_config(result.checkpoint).max_new_tokens == 12);
  CHECK(resolve_model_directory(temp.path()) == result.checkpoint);
}

TEST_CASE("rotation keeps the last and the best", "[train][checkpoint]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(12);
  config.save_steps = "2";
  config.save_total_limit = 2;
  config.eval_strategy = "steps";
  config.eval_steps = "5";
  config.metric_for_best_model = "loss";
  config.learning_rate = 0;  // every evaluation gives the same loss: the first stays best
  const TrainResult result = train(config, temp.path());
  CHECK(result.best_checkpoint.filename() == "checkpoint-5");
  CHECK(checkpoint_names(temp.path()) == Names{"checkpoint-5", "checkpoint-10", "checkpoint-12"});
  CHECK(read_json(result.checkpoint / "trainer_state.json")["best_model_checkpoint"] == "checkpoint-5");
}

TEST_CASE("epochs decide the number of steps and when evaluation happens", "[train][trainer]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(-1);
  config.num_train_epochs = 2;  // 24 captions in batches of 4
  config.eval_strategy = "epoch";
  config.logging_steps = "100";
  const TrainResult result = train(config, temp.path());
  CHECK(result.step == 12);
  std::vector<std::int64_t> evaluated;
  for (const auto& line : metrics_of(temp.path()))
    if (line.contains("eval_loss")) evaluated.push_back(line["step"]);
  CHECK(evaluated == std::vector<std::int64_t>{6, 12});
}

TEST_CASE("a damaged newest checkpoint is passed over for the one before", "[train][resume]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(6);
  config.save_steps = "3";
  const TrainResult first = train(config, temp.path());
  const std::string expected = weights(first.checkpoint);
  fs::resize_file(first.checkpoint / "model.safetensors", 100);
  const TrainResult again = train(config, temp.path());
  CHECK(weights(again.checkpoint) == expected);
  CHECK(checkpoint_names(temp.path()) == Names{"checkpoint-3", "checkpoint-6"});
  CHECK(fs::exists(temp.path() / "checkpoint-6.superseded"));

  fs::remove(temp.path() / "checkpoint-3/optimizer.safetensors");
  fs::remove(temp.path() / "checkpoint-6/optimizer.safetensors");
  CHECK_THROWS_WITH(train(config, temp.path()), ContainsSubstring("every checkpoint is damaged"));
  CHECK_THROWS_WITH(train(config, temp.path(), (temp.path() / "checkpoint-3").string()),
                    ContainsSubstring("optimizer.safetensors is missing"));
}

TEST_CASE("resume: never refuses a run that has checkpoints", "[train][resume]") {
  const TempDir temp;
  train(tiny_config(2), temp.path(), "never");
  CHECK_THROWS_WITH(train(tiny_config(2), temp.path(), "never"), ContainsSubstring("output folder is not empty"));
}

TEST_CASE("resume: PATH goes back within the run, or on from another run", "[train][resume]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(6);
  config.save_steps = "3";
  const std::string expected = weights(train(config, temp.path() / "a").checkpoint);
  const std::string path = (temp.path() / "a/checkpoint-3").string();
  CHECK(weights(train(config, temp.path() / "a", path).checkpoint) == expected);
  CHECK(fs::exists(temp.path() / "a/checkpoint-6.superseded"));
  CHECK(weights(train(config, temp.path() / "b", path).checkpoint) == expected);
  CHECK_THROWS_WITH(train(config, temp.path() / "b", path), ContainsSubstring("checkpoints of its own"));
  CHECK_THROWS_AS(train(config, temp.path() / "c", (temp.path() / "none").string()), CheckpointError);
}

TEST_CASE("a run of another model or of other data is not continued", "[train][resume]") {
  const TempDir temp;
  train(tiny_config(2), temp.path() / "run");
  RunDir directory(temp.path() / "run");
  Trainer wider(tiny_config(4), tiny_parts(0.1, 32));
  CHECK_THROWS_WITH(wider.restore(directory, "auto"), ContainsSubstring("a model of another shape"));

  TrainingParts parts = tiny_parts();
  parts.train = std::make_shared<const Cache>(tiny_cache(temp.path() / "other", 20), "train");
  Trainer other(tiny_config(4), parts);
  CHECK_THROWS_WITH(other.restore(directory, "auto"),
                    ContainsSubstring("24 samples an epoch, the data and its options now give 30"));
}

TEST_CASE("a stop request ends after the step with a checkpoint to go on from", "[train][stop]") {
  const TempDir temp;
  const std::string expected = weights(train(tiny_config(4), temp.path() / "straight").checkpoint);
  request_stop(SIGTERM);
  const TrainResult stopped = train(tiny_config(4), temp.path() / "run");
  CHECK(stop_exit_code() == 143);
  request_stop(0);
  CHECK(stopped.stopped);
  CHECK(stopped.step == 0);
  CHECK(verify_manifest(stopped.checkpoint).empty());
  const TrainResult finished = train(tiny_config(4), temp.path() / "run");
  CHECK_FALSE(finished.stopped);
  CHECK(weights(finished.checkpoint) == expected);
}

TEST_CASE("a signal in the middle of training loses nothing", "[train][stop]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(400);
  config.logging_steps = "50";
  const std::string expected = weights(train(config, temp.path() / "straight").checkpoint);
  std::jthread signal([&](const std::stop_token& end) {  // as soon as the first line is written
    const fs::path metrics = temp.path() / "run/metrics.jsonl";
    std::error_code error;
    while (!end.stop_requested() && !(fs::file_size(metrics, error) > 0 && !error)) std::this_thread::yield();
    request_stop(SIGINT);
  });
  const TrainResult stopped = train(config, temp.path() / "run");
  signal.join();
  request_stop(0);
  CHECK(stopped.stopped);
  CHECK(stopped.step >= 50);
  CHECK(stopped.step < 400);
  CHECK(weights(train(config, temp.path() / "run").checkpoint) == expected);
}

TEST_CASE("a finished run is left alone", "[train][resume]") {
  const TempDir temp;
  const TrainResult first = train(tiny_config(3), temp.path());
  const auto time = fs::last_write_time(first.checkpoint);
  CHECK(train(tiny_config(3), temp.path()).step == 3);
  CHECK(fs::last_write_time(first.checkpoint) == time);
}

TEST_CASE("too many updates in a row that are not finite end the training", "[train][trainer]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(20);
  config.guard.max_skipped_updates = 3;
  TrainingParts parts = tiny_parts();
  {
    const at::NoGradGuard no_grad;
    parts.model->parameters().front().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  RunDir directory(temp.path());
  Trainer trainer(config, parts);
  CHECK_THROWS_WITH(trainer.fit(directory),
                    ContainsSubstring("4 updates in a row") && ContainsSubstring("learning_rate"));
  CHECK(metrics_of(temp.path())[0]["event"] == "update_skipped");
}

TEST_CASE("the best weights come back at the end where asked", "[train][trainer]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(6);
  config.eval_strategy = "steps";
  config.eval_steps = "3";
  config.lr_scheduler_type = "constant";
  config.metric_for_best_model = "rougeL";  // 0 at both evaluations: the first is best
  config.learning_rate = 1e-4;
  config.load_best_model_at_end = true;
  RunDir directory(temp.path());
  TrainingParts parts = tiny_parts();
  Trainer trainer(config, parts);
  const TrainResult result = trainer.fit(directory);
  REQUIRE(result.best_checkpoint.filename() == "checkpoint-3");
  for (const auto& [name, tensor] : read_pretrained_tensors(result.best_checkpoint)) {
    INFO(name);
    CHECK(parts.model->state().at(name).equal(tensor));
  }
}

TEST_CASE("parts that do not fit together are refused before training", "[train][trainer]") {
  TrainerConfig config = tiny_config(2);
  SECTION("captions longer than the decoder") {
    config.max_tokens = 32;
    CHECK_THROWS_WITH(Trainer(config, tiny_parts()),
                      ContainsSubstring("max_tokens is 32") && ContainsSubstring("at most 31"));
  }
  SECTION("unknown score") {
    config.metric_for_best_model = "rogueL";
    CHECK_THROWS_WITH(Trainer(config, tiny_parts()), ContainsSubstring("Did you mean 'rougeL'"));
  }
  SECTION("pictures of another size") {
    TrainingParts parts = tiny_parts();
    auto model = tiny_model_config();
    model.encoder.image_size = 48;
    parts.model = create_model(model, 11);
    CHECK_THROWS_WITH(Trainer(config, parts), ContainsSubstring("pictures of 32 pixels, the encoder takes 48"));
  }
  SECTION("vocabulary too small") {
    TrainingParts parts = tiny_parts();
    auto model = tiny_model_config();
    model.decoder.vocab_size = 100;
    model.decoder_start_token_id = model.bos_token_id = model.eos_token_id = model.pad_token_id = 0;
    parts.model = create_model(model, 11);
    CHECK_THROWS_WITH(Trainer(config, parts), ContainsSubstring("257 ids"));
  }
}

TEST_CASE("only a loss is better when it is smaller", "[train][validation]") {
  CHECK(is_better("loss", 1, 2));
  CHECK_FALSE(is_better("rougeL", 1, 2));
  CHECK(is_better("rougeL", 2, 1));
}
