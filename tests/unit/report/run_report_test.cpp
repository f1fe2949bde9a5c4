// How the page looks and that a browser is content with it: tests/e2e/test_report.py.
#include "capstan/report/run_report.h"

#include <chrono>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "support/small_run.h"

using namespace capstan;

namespace {

bool has(const std::string& page, const std::string& part) { return page.find(part) != std::string::npos; }

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("a run's page shows its curves, scores, events, checkpoints and configuration", "[report][run_report]") {
  const TempDir temp;
  testing::write_small_run(temp.path() / "my run");
  const fs::path path = write_report(temp.path() / "my run");
  CHECK(path == temp.path() / "my run/report.html");
  const std::string page = read_file(path);
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(has(page, "<h1>my run</h1>"));
  CHECK(has(page, "step 20 of 40, epoch 0.50, best checkpoint checkpoint-20"));
  for (const char* title :
       {"Loss", "Evaluation scores", "Learning rate", "Gradient norm", "Throughput", "Waiting for data", "Memory"})
    CHECK(has(page, std::string("aria-label=\"") + title + "\""));
  CHECK_FALSE(has(page, "FLOP utilisation"));
  CHECK(has(page, "update_skipped"));
  CHECK(has(page, "reason=&lt;nan&gt;"));
  CHECK(has(page, "0.7500"));
  CHECK(has(page, "best: rougeL 0.7500"));
  CHECK(has(page, "where &lt;from&gt;"));
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<from>"));
}

TEST_CASE("captions may hold anything", "[report][run_report]") {
  RunData run;
  run.path = "<b>run</b>";
  run.pictures = {{"<id>", "/9j/AAAA", {"a & b"}}, {"2", "", {}}};
  run.captions = {{5, {"<script>alert(1)</script>", ""}}, {10, {"\" onload=\"x\xFF", ""}}};
  run.series["<loss>"] = {{1, 2}, {2, 3}};
  run.scores["<eval>"] = {{1, 0.5}};
  run.events = {{1, "<event>", "<details>"}};
  run.environment = {{"<key>", "<value>"}};
  run.notes = {"<note>"};
  const std::string page = report_page(run);
  for (const char* bad : {"<script", "<id>", "<loss>", "<eval>", "<event>", "<details>alert", "<key>", "<value>",
                          "<note>", "<b>run", "\" onload"})
    CHECK_FALSE(has(page, bad));
  CHECK(has(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  CHECK(has(page, "&quot; onload=&quot;x\xEF\xBF\xBD"));
  CHECK(has(page, "src=\"data:image/jpeg;base64,/9j/AAAA\""));
  CHECK(has(page, "(no words)"));
  CHECK(has(page, "no picture"));
}

TEST_CASE("an empty run has a page that says so, and no run has none", "[report][run_report]") {
  const TempDir temp;
  CHECK_THROWS_AS(write_report(temp.path()), CheckpointError);
  CHECK_FALSE(fs::exists(temp.path() / "report.html"));
  write_file_atomic(temp.path() / "metrics.jsonl", "");
  CHECK(has(read_file(write_report(temp.path())), "Nothing has been written yet"));
}

TEST_CASE("the page of a very long run is small and soon written", "[report][run_report]") {
  const TempDir temp;
  std::string lines;
  for (int step = 1; step <= 100'000; ++step) {
    const std::string number = std::to_string(step);
    lines += "{\"step\": " + number + ", \"epoch\": 1.5, \"loss\": 2." + number + ", \"learning_rate\": 1e-5, " +
             "\"grad_norm\": 1." + number + ", \"captions_per_second\": 500." + number + ", \"data_wait\": 0.00" +
             number + ", \"memory_bytes\": 6442450944}\n";
    if (step % 100 == 0)
      lines += "{\"step\": " + number + ", \"eval_loss\": 2.5, \"eval_rougeL\": 0." + number +
               "}\n{\"step\": " + number + ", \"event\": \"loss_spike\", \"loss\": 7}\n";
  }
  write_file_atomic(temp.path() / "metrics.jsonl", lines);
  const auto start = std::chrono::steady_clock::now();
  const fs::path path = write_report(temp.path());
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  UNSCOPED_INFO("seconds: " << seconds << ", bytes: " << fs::file_size(path));
  CHECK(fs::file_size(path) < 2'000'000);
  CHECK(seconds < 10);  // 0.5 on an idle machine; builds without optimisation and busy machines take longer
  const std::string page = read_file(path);
  CHECK(count_of(page, "<tr>") < 700);
  CHECK(has(page, "evaluations left out here"));
}
