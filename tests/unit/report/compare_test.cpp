#include "capstan/report/compare.h"

#include <sstream>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "support/small_run.h"

using namespace capstan;

TEST_CASE("two runs are compared by scores, curves, speed and configuration", "[report][compare]") {
  const TempDir temp;
  testing::write_small_run(temp.path() / "a");
  RunDir b = testing::write_small_run(temp.path() / "b");
  write_file_atomic(b.path() / "metrics.jsonl",
                    "{\"step\": 10, \"loss\": 3.0, \"captions_per_second\": 90}\n"
                    "{\"step\": 30, \"loss\": 0.5, \"captions_per_second\": 90}\n"
                    "{\"step\": 20, \"eval_rougeL\": 0.9}\n{\"step\": 30, \"eval_rougeL\": 0.6, \"eval_bleu\": 0.2}\n");
  b.write_config("data: flickr\ntrain:\n  learning_rate: 5e-05\n  seed: 3\n");
  const std::string text = compare_runs(temp.path() / "a", temp.path() / "b", 100);
  const auto has = [&](const std::string& part) { return text.find(part) != std::string::npos; };
  CHECK(has("A: " + (temp.path() / "a").string()));
  CHECK(has("eval rougeL, best             0.7500 (step 20)       0.9000 (step 20)       +0.15 (+20.0 %)"));
  CHECK(has("eval rougeL, last             0.7500 (step 20)       0.6000 (step 30)"));
  CHECK(has("eval bleu, best               -                      0.2000 (step 30)"));
  CHECK(has("captions/s                    50                     90                     x 1.8"));
  CHECK(has("peak memory                   2.0 GiB                -"));
  CHECK(has("configuration: 2 keys differ"));
  CHECK(has("  data        coco"));
  CHECK(has("| flickr"));
  CHECK(has("train.seed  (not set)"));
  CHECK_FALSE(has("train.learning_rate"));
  CHECK(has("training loss over steps"));
  std::istringstream lines(compare_runs(temp.path() / "a", temp.path() / "b", 72));
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("A: ") && !line.starts_with("B: ")) CHECK(line.size() <= 72);
}

TEST_CASE("comparing says what is the same, missing or wrong", "[report][compare]") {
  const TempDir temp;
  testing::write_small_run(temp.path() / "a");
  CHECK(compare_runs(temp.path() / "a", temp.path() / "a").find("configuration: the same") != std::string::npos);
  CHECK_THROWS_AS(compare_runs(temp.path() / "a", temp.path()), CheckpointError);
  fs::create_directories(temp.path() / "b");
  write_file_atomic(temp.path() / "b/metrics.jsonl", "");
  const std::string text = compare_runs(temp.path() / "a", temp.path() / "b");
  CHECK(text.find("b/config.yaml is missing") != std::string::npos);
  write_file_atomic(temp.path() / "b/config.yaml", "a: [1");
  CHECK(compare_runs(temp.path() / "a", temp.path() / "b").find("config.yaml:") != std::string::npos);
}
