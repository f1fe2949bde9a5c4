#include "capstan/train/guard.h"

#include <cmath>

#include "capstan/train/ema.h"
#include "support/test_pch.h"

using namespace capstan;

TEST_CASE("a loss far above the moving mean is over the limit, once there are enough", "[train][guard]") {
  GuardState state;
  Guard guard({.loss_spike = 4, .window = 50}, state);
  for (std::int64_t step = 1; step < 50; ++step) {
    guard.record(step, 2 + 0.1 * std::sin(static_cast<double>(step)), false);
    CHECK(std::isinf(guard.loss_limit()));
  }
  guard.record(50, 2, false);
  CHECK(guard.loss_limit() > 2.1);
  CHECK(guard.loss_limit() < 2.5);
  // The first losses were averaged plainly.
  CHECK(state.mean == Approx(2).margin(0.02));
  CHECK(std::sqrt(state.variance) == Approx(0.1 / std::sqrt(2.0)).epsilon(0.1));
  const double limit = guard.loss_limit();
  guard.record(51, 90, true);  // a skipped one does not move the mean
  CHECK(guard.loss_limit() == limit);
  GuardState off;
  CHECK(std::isinf(Guard({.window = 10}, off).loss_limit()));
}

TEST_CASE("skips in a row and skips within the window are counted", "[train][guard]") {
  GuardState state;
  Guard guard({.max_skipped_updates = 2, .window = 10, .spikes_before_rollback = 4}, state);
  std::int64_t step = 0;
  const auto turn = [&](bool skipped) {
    guard.record(++step, 1, skipped);
    return guard.too_many();
  };
  CHECK_FALSE(turn(true));
  CHECK_FALSE(turn(true));
  CHECK_FALSE(turn(false));
  CHECK_FALSE(turn(true));
  CHECK_FALSE(turn(false));
  CHECK(turn(true));  // the fourth within ten
  guard.forget();
  CHECK_FALSE(guard.too_many());
  CHECK_FALSE(turn(true));
  CHECK_FALSE(turn(true));
  CHECK(turn(true));  // the third in a row
}

TEST_CASE("the moving average follows its formula and changes places with the weights", "[train][ema]") {
  std::vector<NamedParameter> parameters{{"w", at::zeros({2}).requires_grad_()}};
  Ema ema({.decay = 0.9, .warmup = false}, parameters), warm({.decay = 0.9}, parameters), none({}, parameters);
  CHECK_FALSE(none.enabled());
  double expected = 0, warmed = 0;
  for (int step = 1; step <= 20; ++step) {
    parameters[0].tensor.detach().fill_(step);
    ema.update(step);
    warm.update(step);
    const double decay = std::min(0.9, (1.0 + step) / (10.0 + step));
    expected = 0.9 * expected + 0.1 * step;
    warmed = decay * warmed + (1 - decay) * step;
  }
  CHECK(ema.state().at("w")[0].item<double>() == Approx(expected).epsilon(1e-5));
  CHECK(warm.state().at("w")[1].item<double>() == Approx(warmed).epsilon(1e-5));
  {
    const UsingEma using_it(&ema);
    CHECK(parameters[0].tensor[0].item<double>() == Approx(expected).epsilon(1e-5));
  }
  CHECK(parameters[0].tensor[0].item<double>() == 20);
  CHECK(ema.state().at("w")[0].item<double>() == Approx(expected).epsilon(1e-5));
}
