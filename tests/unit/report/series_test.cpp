#include "capstan/report/series.h"

#include <algorithm>
#include <cmath>

#include "support/catch.h"
#include "support/print_point.h"

using namespace capstan;

namespace {

Series wave(std::size_t count) {
  Series series;
  for (std::size_t i = 0; i < count; ++i)
    series.push_back({static_cast<double>(i), std::sin(0.01 * static_cast<double>(i))});
  return series;
}

}  // namespace

TEST_CASE("thinning keeps short series, ends, order and the one spike", "[report][series]") {
  CHECK(thin(wave(100), 100) == wave(100));
  CHECK(thin({}, 10).empty());
  Series series = wave(100'000);
  series[77'777].y = 50;
  series[12'345].y = -50;
  const Series thinned = thin(series, 500);
  CHECK(thinned.size() <= 500);
  CHECK(thinned.size() > 400);
  CHECK(thinned.front() == series.front());
  CHECK(thinned.back() == series.back());
  CHECK(std::count(thinned.begin(), thinned.end(), series[77'777]) == 1);
  CHECK(std::count(thinned.begin(), thinned.end(), series[12'345]) == 1);
  CHECK(std::is_sorted(thinned.begin(), thinned.end(),
                       [](const CurvePoint& a, const CurvePoint& b) { return a.x < b.x; }));
}

TEST_CASE("smoothing averages neighbours and recovers from a huge value", "[report][series]") {
  CHECK(smooth({}, 3).empty());
  CHECK(smooth({{0, 1}, {1, 2}, {2, 9}, {3, 4}}, 3) == Series{{0, 1}, {1, 4}, {2, 5}, {3, 6.5}});
  CHECK(smooth(wave(50), 1) == wave(50));
  Series series(100, CurvePoint{0, 2.5});
  series[3].y = 1e30;
  CHECK(smooth(series, 5).back().y == 2.5);
}

TEST_CASE("the best of a score is the least of losses and the greatest of others, the earliest of equals",
          "[report][series]") {
  const Series series{{1, 0.3}, {2, 0.5}, {3, 0.5}, {4, 0.3}};
  CHECK(best_of(series, "rougeL") == CurvePoint{2, 0.5});
  CHECK(best_of(series, "loss") == CurvePoint{1, 0.3});
  CHECK(best_of({}, "loss") == std::nullopt);
  for (const char* name : {"loss", "perplexity", "seconds", "wer", "token_error"}) CHECK(lower_is_better(name));
  for (const char* name : {"rouge1", "bleu4", "cider", "meteor", "answer_accuracy"}) CHECK_FALSE(lower_is_better(name));
}

TEST_CASE("the median is a value of the series", "[report][series]") {
  CHECK(median({}) == std::nullopt);
  CHECK(median({{0, 5}, {1, 1}, {2, 3}}) == 3.0);
  CHECK(median({{0, 5}, {1, 1}}) == 5.0);
}
