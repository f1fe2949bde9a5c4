// The list of metrics and the promises every metric keeps.
#include "capstan/metrics/metric.h"

#include <algorithm>
#include <string>
#include <vector>

#include "capstan/core/error.h"
#include "support/catch.h"

namespace capstan {
namespace {

struct Pair {
  std::string prediction;
  std::vector<std::string> references;
};
const std::vector<Pair> kPairs{{"a red dog runs", {"a dog is running", "the red dog runs fast"}},
                               {"two cats", {"two cats sit on a mat"}},
                               {"", {"something"}}};

TEST_CASE("metrics lists rouge", "[metrics][registry]") {
  CHECK(metrics().contains("rouge"));
  CHECK_FALSE(metrics().find("rouge").summary.empty());
  CHECK_THROWS_AS(metrics().find("rogue"), ConfigError);
  CHECK_THROWS_WITH(metrics().find("rogue"), ContainsSubstring("unknown metric 'rogue'") && ContainsSubstring("rouge"));
}

TEST_CASE("metrics report the mean of their pairs in any order", "[metrics][registry]") {
  for (const auto& [name, entry] : metrics().entries()) {
    INFO(name);
    const auto metric = entry.make({});
    std::map<std::string, double> sums;
    for (const Pair& pair : kPairs) {
      metric->add(pair.prediction, pair.references);
      for (const auto& [key, value] : metric->last()) sums[key] += value;
    }
    const auto forward = metric->result();
    REQUIRE_FALSE(forward.empty());
    const auto backward = entry.make({});
    std::for_each(kPairs.rbegin(), kPairs.rend(),
                  [&](const Pair& pair) { backward->add(pair.prediction, pair.references); });
    for (const auto& [key, value] : forward) {
      CHECK(value == Approx(sums.at(key) / 3.0).epsilon(1e-12));
      CHECK(value == Approx(backward->result().at(key)).epsilon(1e-12));
    }
  }
}

TEST_CASE("metrics start again after a reset", "[metrics][registry]") {
  for (const auto& [name, entry] : metrics().entries()) {
    INFO(name);
    const auto metric = entry.make({});
    const auto empty = metric->result();
    metric->add(kPairs[0].prediction, kPairs[0].references);
    const auto one = metric->result();
    metric->reset();
    CHECK(metric->result() == empty);
    metric->add(kPairs[0].prediction, kPairs[0].references);
    CHECK(metric->result() == one);
  }
}

TEST_CASE("rouge metric gives perfect captions one and names rouge_score's keys", "[metrics][rouge]") {
  const auto metric = metrics().find("rouge").make({.use_stemmer = false});
  const std::vector<std::string> references{"a red dog"};
  metric->add("A red dog.", references);
  CHECK(metric->result() ==
        std::map<std::string, double>{{"rouge1", 1.0}, {"rouge2", 1.0}, {"rougeL", 1.0}, {"rougeLsum", 1.0}});
}

TEST_CASE("rouge metric obeys use_stemmer", "[metrics][rouge]") {
  const std::vector<std::string> references{"dog"};
  for (const bool use_stemmer : {false, true}) {
    const auto metric = metrics().find("rouge").make({.use_stemmer = use_stemmer});
    metric->add("dogs", references);
    CHECK(metric->last().at("rouge1") == (use_stemmer ? 1.0 : 0.0));
  }
}

}  // namespace
}  // namespace capstan
