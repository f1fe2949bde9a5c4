#include "capstan/report/describe.h"

#include "capstan/core/error.h"
#include "support/catch.h"
#include "support/small_run.h"

using namespace capstan;

TEST_CASE("inspecting a run shows speed, events, scores, curves and damaged checkpoints", "[report][describe]") {
  const TempDir temp;
  CHECK_THROWS_AS(describe_run(temp.path()), CheckpointError);
  RunDir run = testing::write_small_run(temp.path());
  fs::remove(run.checkpoint_path(10) / "config.json");
  const std::string text = describe_run(temp.path());
  const auto has = [&](const std::string& part) { return text.find(part) != std::string::npos; };
  CHECK(has("last step:   20 of 40 (epoch 0.50)"));
  CHECK(has("best:        checkpoint-20 (rougeL 0.7500)"));
  CHECK(has("throughput:  captions/s 50, data wait 25.0 %, peak memory 2.0 GiB"));
  CHECK(has("events:      1 save_failed (at step 20), 1 update_skipped (at step 15)"));
  CHECK(has("  rougeL                       0.7500         20     0.7500         20"));
  CHECK(has("loss over steps: o training, x evaluation"));
  CHECK(has("4 +"));
  CHECK(has("damaged: config.json is missing"));
  CHECK(has("complete"));
}

TEST_CASE("a run that has only begun can be inspected", "[report][describe]") {
  const TempDir temp;
  write_file_atomic(temp.path() / "metrics.jsonl", "");
  CHECK(describe_run(temp.path()).starts_with("run:"));
}

TEST_CASE("inspecting a checkpoint shows step, files and integrity", "[report][describe]") {
  const TempDir temp;
  RunDir run(temp.path());
  testing::save_checkpoint(run, 20);
  const std::string text = describe_checkpoint(run.checkpoint_path(20));
  CHECK(text.find("step:        20 of 40 (epoch 0.50)") != std::string::npos);
  CHECK(text.find("state:       complete") != std::string::npos);
  CHECK(text.find("model.safetensors") != std::string::npos);
  fs::create_directories(temp.path() / "plain");
  write_file_atomic(temp.path() / "plain/config.json", "{}");
  CHECK(describe_checkpoint(temp.path() / "plain").find("a model folder without checksums") != std::string::npos);
}
