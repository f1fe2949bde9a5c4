// ROUGE against values stored from rouge_score, and the rules of its tokens.
#include "capstan/metrics/rouge.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "support/source_dir.h"

namespace capstan {
namespace {

const nlohmann::json& golden() {
  static const nlohmann::json value = [] {
    std::ifstream file(capstan::testing::source_dir() / "tests/golden/rouge/pairs.json");
    return nlohmann::json::parse(file);
  }();
  return value;
}

// Largest difference from a golden row: one triple for each of rouge1, rouge2, rougeL, rougeLsum.
double difference(const RougeScores& scores, const nlohmann::json& expected) {
  double largest = 0;
  std::size_t row = 0;
  for (const RougeScore& score : {scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum}) {
    const auto& values = expected.at(row++);
    largest = std::max({largest, std::abs(score.precision - values.at(0).get<double>()),
                        std::abs(score.recall - values.at(1).get<double>()),
                        std::abs(score.fmeasure - values.at(2).get<double>())});
  }
  return largest;
}

double rouge1(const std::string& prediction, const std::string& reference, bool use_stemmer = false) {
  return RougeScorer(use_stemmer).score(prediction, reference).rouge1.fmeasure;
}

TEST_CASE("rouge equals rouge_score on stored pairs", "[metrics][rouge]") {
  const double tolerance = golden().at("tolerance");
  REQUIRE(golden().at("pairs").size() >= 200);
  for (const bool use_stemmer : {false, true}) {
    RougeScorer scorer(use_stemmer);
    for (const auto& pair : golden().at("pairs")) {
      const std::string prediction = pair.at("prediction");
      const std::string reference = pair.at("reference");
      INFO(prediction << " | " << reference);
      REQUIRE(difference(scorer.score(prediction, reference), pair.at(use_stemmer ? "stemmed" : "plain")) <= tolerance);
    }
  }
}

TEST_CASE("rouge takes the best reference of each score on its own", "[metrics][rouge]") {
  const double tolerance = golden().at("tolerance");
  RougeScorer scorer(true);
  for (const auto& pair : golden().at("multi")) {
    const std::string prediction = pair.at("prediction");
    const std::vector<std::string> references = pair.at("references");
    INFO(prediction);
    CHECK(difference(scorer.score_multi(prediction, references), pair.at("stemmed")) <= tolerance);
    std::vector<RougeText> prepared;
    for (const auto& reference : references) prepared.push_back(scorer.prepare(reference));
    CHECK(difference(scorer.score_multi(scorer.prepare(prediction), prepared), pair.at("stemmed")) <= tolerance);
  }
}

TEST_CASE("rouge gives different keys different best references", "[metrics][rouge]") {
  RougeScorer scorer(false);
  const std::vector<std::string> references{"d c b a", "a b x y z"};
  const RougeScores best = scorer.score_multi("a b c d", references);
  CHECK(best.rouge1.fmeasure == 1.0);
  CHECK(best.rouge2.fmeasure == Approx(2.0 / 7.0));
}

TEST_CASE("rouge prepared texts can be scored again and again", "[metrics][rouge]") {
  RougeScorer scorer(true);
  const RougeText reference = scorer.prepare("A dog is running\nin the street.");
  const RougeText prediction = scorer.prepare("dogs run\nin a street");
  const RougeScores first = scorer.score(prediction, reference);
  scorer.score("something else\nentirely", "quite different\nwords");
  const RougeScores again = scorer.score(prediction, reference);
  CHECK(first.rouge_lsum.fmeasure == again.rouge_lsum.fmeasure);
  CHECK(first.rouge_l.fmeasure == again.rouge_l.fmeasure);
  const RougeScores plain = scorer.score("dogs run\nin a street", "A dog is running\nin the street.");
  CHECK(first.rouge_lsum.fmeasure == plain.rouge_lsum.fmeasure);
}

TEST_CASE("rouge tokens are runs of ascii letters and digits in lower case", "[metrics][rouge]") {
  CHECK(rouge1("A RED-dog, 2!", "a red dog 2") == 1.0);
  CHECK(rouge1("it's", "it s") == 1.0);
  CHECK(rouge1("caf\xC3\xA9", "caf") == 1.0);
  CHECK(rouge1("a\tb\r\nc", "a b c") == 1.0);
}

TEST_CASE("rouge lowers the kelvin sign and the dotted capital i as python does", "[metrics][rouge]") {
  CHECK(rouge1("\xE2\x84\xAA"
               "elvin",
               "kelvin") == 1.0);
  CHECK(rouge1("d\xC4\xB0s", "di s") == 1.0);
  CHECK(rouge1("d\xC4\xB0s", "dis") == 0.0);
}

TEST_CASE("rouge stems only tokens of more than three characters", "[metrics][rouge]") {
  CHECK(rouge1("dogs", "dog", true) == 1.0);
  CHECK(rouge1("dogs", "dog", false) == 0.0);
  CHECK(rouge1("gas", "ga", true) == 0.0);
}

TEST_CASE("rouge of texts without tokens is zero", "[metrics][rouge]") {
  for (const std::string empty : {"", " ", "\n\n", ".!?", "\xC3\xA9"}) {
    CHECK(rouge1(empty, "a dog") == 0.0);
    CHECK(rouge1("a dog", empty) == 0.0);
    CHECK(RougeScorer(true).score(empty, empty).rouge_lsum.fmeasure == 0.0);
  }
}

TEST_CASE("rouge survives bytes that are not utf-8", "[metrics][rouge]") {
  CHECK(rouge1("a \xFF\xFE"
               "dog\xE2\x84",
               "a dog") == 1.0);
  CHECK(rouge1("a \xE2\xC4\xB0 b\xC4", "a i b") == 1.0);
  CHECK(rouge1(std::string("a\0b", 3), "a b") == 1.0);
}

TEST_CASE("rouge of one prediction without references is an error", "[metrics][rouge]") {
  RougeScorer scorer(false);
  CHECK_THROWS_WITH(scorer.score_multi("a dog", std::span<const std::string>{}),
                    ContainsSubstring("no reference to score it against"));
}

}  // namespace
}  // namespace capstan
