#include "capstan/checkpoint/run_dir.h"

#include <fstream>

#include "capstan/checkpoint/manifest.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;

namespace {

void save(RunDir& run, std::int64_t step, const std::string& weights = "weights", const std::string& best = "null") {
  run.save_checkpoint(step, [&](const fs::path& folder) {
    write_file_atomic(folder / "config.json", "{}");
    write_file_atomic(folder / "model.safetensors", weights);
    write_file_atomic(folder / "trainer_state.json",
                      "{\"global_step\": " + std::to_string(step) +
                          ", \"max_steps\": 40, \"epoch\": 0.5, "
                          "\"best_metric\": 0.75, \"metric_for_best_model\": \"rougeL\", \"best_model_checkpoint\": " +
                          best + "}");
  });
}

std::vector<std::int64_t> steps(const RunDir& run) {
  std::vector<std::int64_t> found;
  for (const auto& checkpoint : list_checkpoints(run.path())) found.push_back(checkpoint.step);
  return found;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a checkpoint is complete once it is there and lists its files", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path() / "run");
  save(run, 20);
  CHECK(verify_manifest(run.checkpoint_path(20)).empty());
  CHECK(run.contains(run.checkpoint_path(20)));
  CHECK_FALSE(run.contains(temp.path() / "checkpoint-20"));
  CHECK_NOTHROW(require_valid_checkpoint(run.checkpoint_path(20)));
}

TEST_CASE("a failed save leaves the run as it was", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  save(run, 20, "first");
  CHECK_THROWS_AS(run.save_checkpoint(20, [](const fs::path&) { throw DataError("disk full"); }), DataError);
  CHECK(read_file(run.checkpoint_path(20) / "model.safetensors") == "first");
  CHECK(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("saving the same step again replaces the checkpoint", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  save(run, 20, "first");
  save(run, 20, "second");
  CHECK(read_file(run.checkpoint_path(20) / "model.safetensors") == "second");
  CHECK(verify_manifest(run.checkpoint_path(20)).empty());
}

TEST_CASE("what a crash left half-written is removed at the next start", "[checkpoint][run_dir]") {
  const TempDir temp;
  fs::create_directories(temp.path() / ".checkpoint-40.tmp-123");
  fs::create_directories(temp.path() / ".checkpoint-20.tmp-removed");
  fs::create_directories(temp.path() / "checkpoint-20");
  const RunDir run(temp.path());
  CHECK_FALSE(fs::exists(temp.path() / ".checkpoint-40.tmp-123"));
  CHECK_FALSE(fs::exists(temp.path() / ".checkpoint-20.tmp-removed"));
  CHECK(steps(run) == Steps{20});
}

TEST_CASE("rotation keeps the newest and the best", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  for (const std::int64_t step : {5, 10, 15, 100}) save(run, step);
  run.rotate(0, "");
  CHECK(steps(run) == Steps{5, 10, 15, 100});
  run.rotate(2, "checkpoint-5");
  CHECK(steps(run) == Steps{5, 15, 100});
  run.rotate(1, "checkpoint-100");
  CHECK(steps(run) == Steps{100});
}

TEST_CASE("a damaged newest checkpoint is passed over and named", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  save(run, 20);
  save(run, 40);
  const fs::path weights = run.checkpoint_path(40) / "model.safetensors";
  SECTION("file missing") {
    fs::remove(weights);
    CHECK_THROWS_WITH(require_valid_checkpoint(run.checkpoint_path(40)),
                      ContainsSubstring("model.safetensors is missing"));
  }
  SECTION("file cut short") {
    std::ofstream(weights) << "weig";
    CHECK_THROWS_WITH(require_valid_checkpoint(run.checkpoint_path(40)), ContainsSubstring("has 4 bytes, expected 7"));
  }
  SECTION("a byte changed") {
    std::ofstream(weights) << "weightz";
    CHECK_THROWS_WITH(require_valid_checkpoint(run.checkpoint_path(40)), ContainsSubstring("has another checksum"));
  }
  SECTION("manifest missing") {
    fs::remove(run.checkpoint_path(40) / "manifest.json");
    CHECK_THROWS_AS(require_valid_checkpoint(run.checkpoint_path(40)), CheckpointError);
  }
  SECTION("manifest broken") {
    std::ofstream(run.checkpoint_path(40) / "manifest.json") << "{";
    CHECK_THROWS_WITH(require_valid_checkpoint(run.checkpoint_path(40)), ContainsSubstring("broken JSON"));
  }
  REQUIRE(run.newest_valid().has_value());
  CHECK(run.newest_valid()->step == 20);
  run.set_aside_after(20);
  CHECK(steps(run) == Steps{20});
  CHECK(fs::exists(temp.path() / "checkpoint-40.superseded"));
}

TEST_CASE("a run stands for its best checkpoint, else for its newest whole one", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  CHECK_THROWS_WITH(resolve_model_directory(temp.path()), ContainsSubstring("neither config.json"));
  CHECK_THROWS_WITH(resolve_model_directory(temp.path() / "nowhere"), ContainsSubstring("no such folder"));
  save(run, 20);
  CHECK(resolve_model_directory(temp.path()) == run.checkpoint_path(20));
  save(run, 40, "weights", "\"checkpoint-20\"");
  CHECK(resolve_model_directory(temp.path()) == run.checkpoint_path(20));
  CHECK(resolve_model_directory(run.checkpoint_path(40)) == run.checkpoint_path(40));
  fs::remove(run.checkpoint_path(20) / "model.safetensors");
  CHECK(resolve_model_directory(temp.path()) == run.checkpoint_path(40));
}

TEST_CASE("metrics are replaced as a whole and then appended to", "[checkpoint][run_dir]") {
  const TempDir temp;
  RunDir run(temp.path());
  run.append_metrics("{\"step\": 1}");
  run.write_metrics(std::vector<std::string>{"{\"step\": 2}"});
  run.append_metrics("{\"step\": 3}");
  CHECK(read_file(temp.path() / "metrics.jsonl") == "{\"step\": 2}\n{\"step\": 3}\n");
}
