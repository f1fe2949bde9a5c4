// Stochastic depth: what is drawn, for whom, and when.
#include "capstan/nn/drop_path.h"

#include <ATen/ATen.h>

#include "support/catch.h"

using namespace capstan;

TEST_CASE("stochastic depth drops whole samples and keeps the mean", "[nn][drop_path]") {
  at::manual_seed(6);
  const at::Tensor branch = at::ones({20000, 2, 3});
  const at::Tensor out = drop_path(branch, 0.25, true);
  const at::Tensor first = out.select(1, 0).select(1, 0);
  CHECK(at::equal(out, first.view({-1, 1, 1}).expand_as(out)));  // one draw per sample
  CHECK(at::logical_or(first.eq(0), first.eq(1 / 0.75f)).all().item<bool>());
  CHECK(first.eq(0).to(at::kFloat).mean().item<double>() == Approx(0.25).margin(0.015));  // five deviations
  CHECK(out.mean().item<double>() == Approx(1).margin(0.02));
}

TEST_CASE("stochastic depth leaves evaluation and rate 0 alone", "[nn][drop_path]") {
  const at::Tensor branch = at::ones({4, 2});
  CHECK(drop_path(branch, 0.5, false).is_same(branch));
  CHECK(drop_path(branch, 0, true).is_same(branch));
}

TEST_CASE("the rate of stochastic depth grows linearly with the depth", "[nn][drop_path]") {
  // numpy.linspace(0, 0.3, 4), as timm spaces them
  CHECK(drop_path_rate_of(0.3, 0, 4) == 0);
  CHECK(drop_path_rate_of(0.3, 1, 4) == Approx(0.1));
  CHECK(drop_path_rate_of(0.3, 3, 4) == Approx(0.3));
  CHECK(drop_path_rate_of(0.3, 0, 1) == Approx(0.3));
}
