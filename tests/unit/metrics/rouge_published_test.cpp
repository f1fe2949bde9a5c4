// The values that rouge_score's own tests publish, on their texts.
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "capstan/metrics/rouge.h"
#include "support/catch.h"
#include "support/shared_data.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> folder() {
  const auto shared = testing::shared_data();
  if (!shared || !fs::exists(*shared / "rouge/published_scores.json")) return std::nullopt;
  return *shared / "rouge";
}

std::string whole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines(const fs::path& path) {
  std::istringstream text(whole(path));
  std::vector<std::string> result;
  for (std::string line; std::getline(text, line);) result.push_back(line);
  return result;
}

nlohmann::json published(const fs::path& path, const std::string& part) {
  return nlohmann::json::parse(whole(path / "published_scores.json")).at(part);
}

const RougeScore& by_key(const RougeScores& scores, const std::string& key) {
  if (key == "rouge1") return scores.rouge1;
  if (key == "rouge2") return scores.rouge2;
  return key == "rougeL" ? scores.rouge_l : scores.rouge_lsum;
}

// Compares every score that `expected` holds; returns how many there were.
int check_scores(const RougeScores& scores, const nlohmann::json& expected, double margin) {
  int count = 0;
  for (const std::string key : {"rouge1", "rouge2", "rougeL", "rougeLsum"}) {
    if (!expected.contains(key)) continue;
    INFO(key << " of " << expected.dump());
    CHECK(by_key(scores, key).precision == Approx(expected[key]["precision"].get<double>()).margin(margin));
    CHECK(by_key(scores, key).recall == Approx(expected[key]["recall"].get<double>()).margin(margin));
    CHECK(by_key(scores, key).fmeasure == Approx(expected[key]["fmeasure"].get<double>()).margin(margin));
    ++count;
  }
  return count;
}

TEST_CASE("rouge gives the published values of the small examples", "[metrics][rouge][shared]") {
  const auto data = folder();
  if (!data) SKIP("shared data folder rouge is absent");
  int count = 0;
  for (const auto& example : published(*data, "small")) {
    RougeScorer scorer(example.value("use_stemmer", false));
    const auto scores =
        scorer.score(example.at("prediction").get<std::string>(), example.at("target").get<std::string>());
    count += check_scores(scores, example, 1e-12);
    if (example.contains("rougeLsum_fmeasure")) {
      CHECK(scores.rouge_lsum.fmeasure == Approx(example["rougeLsum_fmeasure"].get<double>()).margin(1e-12));
      ++count;
    }
  }
  CHECK(count >= 15);
}

TEST_CASE("rouge gives the published values of ROUGE-1.5.5 line by line", "[metrics][rouge][shared]") {
  const auto data = folder();
  if (!data) SKIP("shared data folder rouge is absent");
  const auto targets = lines(*data / "testdata/target.txt");
  const auto predictions = lines(*data / "testdata/prediction.txt");
  int count = 0;
  for (const auto& expected : published(*data, "target.txt/prediction.txt line scores")) {
    RougeScorer scorer(expected.at("use_stemmer").get<bool>());
    const auto line = expected.at("line").get<std::size_t>();
    count += check_scores(scorer.score(predictions.at(line), targets.at(line)), expected, 5.1e-6);
  }
  CHECK(count == 10);
}

// The published means come from resampling: 0.002 is the width that rouge_score's own tests allow.
TEST_CASE("rouge means over the large files lie at the published ones", "[metrics][rouge][shared]") {
  const auto data = folder();
  if (!data) SKIP("shared data folder rouge is absent");
  const auto targets = lines(*data / "testdata/target_large.txt");
  const auto predictions = lines(*data / "testdata/prediction_large.txt");
  REQUIRE(targets.size() == predictions.size());
  int num_compared = 0;
  for (const auto& expected : published(*data, "target_large/prediction_large aggregate over lines")) {
    RougeScorer scorer(expected.at("use_stemmer").get<bool>());
    for (const std::string key : {"rouge1", "rougeL"}) {
      if (!expected.contains(key)) continue;
      RougeScore sum;
      for (std::size_t i = 0; i < targets.size(); ++i) {
        const RougeScore score = by_key(scorer.score(predictions[i], targets[i]), key);
        sum.precision += score.precision;
        sum.recall += score.recall;
        sum.fmeasure += score.fmeasure;
      }
      const auto count = static_cast<double>(targets.size());
      ++num_compared;
      CHECK(sum.precision / count == Approx(expected[key]["precision"]["mid"].get<double>()).margin(0.002));
      CHECK(sum.recall / count == Approx(expected[key]["recall"]["mid"].get<double>()).margin(0.002));
      CHECK(sum.fmeasure / count == Approx(expected[key]["fmeasure"]["mid"].get<double>()).margin(0.002));
    }
  }
  CHECK(num_compared == 3);
}

TEST_CASE("rougeLsum of the large files as single texts is the published one", "[metrics][rouge][shared]") {
  const auto data = folder();
  if (!data) SKIP("shared data folder rouge is absent");
  const auto expected = published(*data, "target_large.txt vs prediction_large.txt as whole files");
  RougeScorer scorer(expected.at("use_stemmer").get<bool>());
  const auto scores =
      scorer.score(whole(*data / "testdata/prediction_large.txt"), whole(*data / "testdata/target_large.txt"));
  CHECK(scores.rouge_lsum.fmeasure == Approx(expected.at("rougeLsum_fmeasure_3_places").get<double>()).margin(5e-4));
}

}  // namespace
}  // namespace capstan
