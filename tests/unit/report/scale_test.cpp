#include "report/scale.h"

#include "support/catch.h"

using namespace capstan::report;

using Ticks = std::vector<double>;

TEST_CASE("ticks are round numbers within the range", "[report][scale]") {
  CHECK(round_ticks(0, 24'000, 6) == Ticks{0, 5000, 10'000, 15'000, 20'000});
  CHECK(round_ticks(-1, 1, 4) == Ticks{-1, -0.5, 0, 0.5, 1});
  CHECK(round_ticks(3.1, 3.9, 4) == Ticks{3.2, 3.4000000000000004, 3.6, 3.8000000000000003});
  CHECK(round_ticks(1, 1, 4).empty());
  CHECK(round_ticks(0, 1e308 * 10, 4).empty());
}

TEST_CASE("logarithmic ticks are powers of ten, finer where the range is short", "[report][scale]") {
  CHECK(log_ticks(0.5, 2000, 5) == Ticks{1, 10, 100, 1000});
  CHECK(log_ticks(1, 10, 5) == Ticks{1, 2, 5, 10});
  CHECK(log_ticks(1e-9, 1e3, 6).size() <= 7);
  CHECK(log_ticks(2.1, 2.4, 4) == round_ticks(2.1, 2.4, 4));
}

TEST_CASE("a scale maps values to places and back", "[report][scale]") {
  const Scale linear(0, 10, 100, 0), logarithmic(1, 100, 0, 200, true);
  CHECK(linear(5) == Approx(50));
  CHECK(linear.invert(50) == Approx(5));
  CHECK(logarithmic(10) == Approx(100));
  CHECK(logarithmic.invert(100) == Approx(10));
}

TEST_CASE("scales of values are never empty and start from zero where that costs little", "[report][scale]") {
  CHECK(value_scale(2, 10, 100, 0, false).low() == 0);
  CHECK(value_scale(9, 10, 100, 0, false).low() > 8);
  CHECK(value_scale(-3, 10, 100, 0, false).low() < -3);
  for (const double value : {0.0, 5.0, -5.0, 1e-30}) {
    const Scale scale = value_scale(value, value, 100, 0, false);
    CHECK(scale.low() < scale.high());
    CHECK(scale.low() <= value);
    CHECK(scale.high() >= value);
  }
  const Scale flat = value_scale(3, 3, 100, 0, true);
  CHECK(flat.low() < 3);
  CHECK(flat.high() > 3);
}
