#include "capstan/report/run_data.h"

#include "capstan/core/error.h"
#include "report/metrics_line.h"
#include "report/samples.h"
#include "support/catch.h"
#include "support/print_point.h"
#include "support/small_run.h"

using namespace capstan;

TEST_CASE("a run's folder is read whole", "[report][run_data]") {
  const TempDir temp;
  testing::write_small_run(temp.path());
  write_file_atomic(temp.path() / "environment.json", R"({"device": "cpu", "processes": 2, "ok": true})");
  const RunData run = read_run(temp.path());
  CHECK(run.last_step == 20);
  CHECK(run.last_epoch == 0.5);
  CHECK(run.max_steps == 40);
  CHECK(run.curve("loss") == Series{{10, 4.0}, {20, 1.0}});
  CHECK(run.curve("mfu").empty());
  CHECK(run.curve("nested").empty());
  CHECK(run.score("rougeL") == Series{{20, 0.75}});
  CHECK(run.score_names() == std::vector<std::string>{"loss", "rougeL"});
  REQUIRE(run.events.size() == 2);
  CHECK(run.events[0].name == "update_skipped");
  CHECK(run.events[0].step == 15);
  CHECK(run.events[0].details == "loss=null, reason=<nan>");
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK((run.environment == Pairs{{"device", "cpu"}, {"processes", "2"}, {"ok", "true"}}));
  REQUIRE(run.checkpoints.size() == 2);
  CHECK(run.checkpoints[1].name == "checkpoint-20");
  CHECK(run.checkpoints[1].bytes > 9);
  REQUIRE(run.best);
  CHECK(run.best->name == "checkpoint-20");
  CHECK(run.config.starts_with("data: coco"));
  CHECK(run.notes.empty());
}

TEST_CASE("a folder that is no run is refused by name", "[report][run_data]") {
  const TempDir temp;
  CHECK_THROWS_WITH(read_run(temp.path()), ContainsSubstring("not a run"));
  CHECK_THROWS_AS(read_run(temp.path()), CheckpointError);
  CHECK_THROWS_WITH(read_run(temp.path() / "nowhere"), ContainsSubstring("no such folder"));
}

TEST_CASE("torn and foreign files are left out with a note", "[report][run_data]") {
  const TempDir temp;
  write_file_atomic(temp.path() / "metrics.jsonl",
                    "\n[1, 2]\nnonsense\n{\"step\": 5, \"loss\": 2}\n{\"step\": 6, \"lo");
  write_file_atomic(temp.path() / "samples.json", R"({"pictures": [{"image_id")");
  write_file_atomic(temp.path() / "environment.json", "[]");
  fs::create_directories(temp.path() / "checkpoint-5");
  write_file_atomic(temp.path() / "checkpoint-5/trainer_state.json", "{\"max_steps\": ");
  const RunData run = read_run(temp.path());
  CHECK(run.curve("loss") == Series{{5, 2}});
  CHECK(run.pictures.empty());
  REQUIRE(run.notes.size() == 3);
  CHECK(run.notes[0].find("environment.json") != std::string::npos);
  CHECK(run.notes[1].find("samples.json") != std::string::npos);
  CHECK(run.notes[2].find("trainer_state.json") != std::string::npos);
}

TEST_CASE("steps that a rolled back run passes twice are those of the later pass", "[report][run_data]") {
  const TempDir temp;
  std::string lines;
  for (const int step : {10, 20, 30, 20, 40})
    lines += "{\"step\": " + std::to_string(step) + ", \"loss\": " + std::to_string(step + lines.size() / 1000) + "}\n";
  write_file_atomic(temp.path() / "metrics.jsonl", lines + "{\"step\": 20, \"event\": \"rolled_back\"}\n");
  const RunData run = read_run(temp.path());
  CHECK(run.curve("loss") == Series{{10, 10}, {20, 20}, {40, 40}});
  CHECK(run.events.size() == 1);
}

TEST_CASE("values of the wrong kind are passed over", "[report][run_data]") {
  report::MetricsLine line;
  CHECK(line.parse(R"({"step": "ten", "a": [1, {"b": 2}], "c": true, "d": 1, "e": null})"));
  CHECK((line.numbers() == std::vector<std::pair<std::string, double>>{{"d", 1}}));
  CHECK(line.number("step") == std::nullopt);
  CHECK(line.text("step") == "ten");
  for (const char* bad : {"", "3", "\"a\"", "[{\"step\": 1}]", "{\"step\": 1", "{\"a\": 1e999}", "{} {}"})
    CHECK_FALSE(line.parse(bad));
  CHECK_FALSE(line.parse(std::string(100'000, '[')));
  const TempDir temp;
  write_file_atomic(temp.path() / "metrics.jsonl",
                    "{\"step\": -1, \"loss\": 1}\n{\"step\": 1e300, \"loss\": 1}\n{\"loss\": 3}\n{\"event\": 4}\n");
  CHECK(read_run(temp.path()).curve("loss") == Series{{0, 3}});
}

TEST_CASE("samples hold pictures that are JPEG and captions by step", "[report][run_data]") {
  const TempDir temp;
  write_file_atomic(temp.path() / "samples.json",
                    R"({"pictures": [{"image_id": 7, "jpeg": "/9j/AAAA", "references": ["a dog"]},
                                     {"image_id": "b", "jpeg": "/9j/\" onerror=\"x"}, 5],
                        "captions": [{"step": 20, "captions": ["dog", "x"]}, {"step": 10, "captions": ["a"]},
                                     {"step": 30, "captions": ["dog"]}, {"captions": []}, 3]})");
  const RunData run = read_run(temp.path());
  REQUIRE(run.pictures.size() == 3);
  CHECK(run.pictures[0].image_id == "7");
  CHECK(run.pictures[0].base64 == "/9j/AAAA");
  CHECK(run.pictures[0].references == std::vector<std::string>{"a dog"});
  CHECK(run.pictures[1].base64.empty());
  const auto spans = report::captions_of(run, 0);
  REQUIRE(spans.size() == 2);
  CHECK((spans[0].text == "a" && spans[0].first_step == 10 && spans[0].last_step == 10));
  CHECK((spans[1].text == "dog" && spans[1].first_step == 20 && spans[1].last_step == 30));
  CHECK(report::captions_of(run, 1).size() == 1);
  CHECK(report::captions_of(run, 2).empty());
}
