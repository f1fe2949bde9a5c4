// What sampling leaves, against the definition by a whole sort.
#include "generate/warpers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "support/test_pch.h"

using namespace capstan;
using namespace capstan::search;

namespace {

std::vector<Scored> random_tokens(std::size_t count, std::uint64_t seed, double spread) {
  Random random(seed);
  std::vector<Scored> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.push_back({static_cast<float>(spread * random.normal()), static_cast<std::int32_t>(i)});
  return tokens;
}

std::set<std::int32_t> ids_of(const std::vector<Scored>& tokens) {
  std::set<std::int32_t> ids;
  for (const Scored& token : tokens) ids.insert(token.id);
  return ids;
}

// Tokens from the likeliest on until they have top_p together.
std::set<std::int32_t> nucleus(std::vector<Scored> tokens, double top_p) {
  std::sort(tokens.begin(), tokens.end(), ahead);
  double total = 0, before = 0;
  for (const Scored& token : tokens) total += std::exp(static_cast<double>(token.score));
  std::set<std::int32_t> ids;
  for (const Scored& token : tokens) {
    if (before >= top_p * total && !ids.empty()) break;
    ids.insert(token.id);
    before += std::exp(static_cast<double>(token.score));
  }
  return ids;
}

}  // namespace

TEST_CASE("top_p keeps the nucleus without sorting everything", "[generate][unit]") {
  const double top_p = GENERATE(0.0, 0.1, 0.5, 0.9, 0.999);
  const double spread = GENERATE(0.1, 3.0);
  auto tokens = random_tokens(2000, 5, spread);
  const auto expected = nucleus(tokens, top_p);
  warp({.top_p = top_p}, tokens);
  REQUIRE(ids_of(tokens) == expected);
}

TEST_CASE("min_p keeps what is likely enough beside the likeliest", "[generate][unit]") {
  std::vector<Scored> tokens{{0.0f, 0}, {std::log(0.5f), 1}, {std::log(0.21f), 2}, {std::log(0.19f), 3}};
  warp({.min_p = 0.2}, tokens);
  REQUIRE(ids_of(tokens) == std::set<std::int32_t>{0, 1, 2});
}

TEST_CASE("a few tokens are kept whatever top_p and min_p say", "[generate][unit]") {
  auto tokens = random_tokens(50, 3, 4.0);
  auto best = tokens;
  std::sort(best.begin(), best.end(), ahead);
  best.resize(3);
  const WarpOptions options =
      GENERATE(WarpOptions{.top_p = 0.0, .min_tokens_to_keep = 3}, WarpOptions{.min_p = 1.0, .min_tokens_to_keep = 3});
  warp(options, tokens);
  REQUIRE(ids_of(tokens) == ids_of(best));
}

TEST_CASE("temperature divides and forbidden tokens are gone", "[generate][unit]") {
  std::vector<Scored> tokens{{2.0f, 0}, {-std::numeric_limits<float>::infinity(), 1}, {-1.0f, 2}};
  warp({.temperature = 0.5f}, tokens);
  REQUIRE(tokens.size() == 2);
  REQUIRE(tokens[0].score == 4.0f);
  REQUIRE(tokens[1].score == -2.0f);
}

TEST_CASE("tokens are drawn as often as their probability says", "[generate][unit]") {
  const std::vector<Scored> tokens{{std::log(1.0f), 0}, {std::log(3.0f), 1}, {-200.0f, 2}, {std::log(6.0f), 3}};
  Random random(1);
  std::vector<int> counts(tokens.size());
  for (int i = 0; i < 20000; ++i) ++counts[draw(tokens, random)];
  REQUIRE(std::abs(counts[0] - 2000) < 200);
  REQUIRE(std::abs(counts[1] - 6000) < 300);
  REQUIRE(counts[2] == 0);
  REQUIRE(draw({}, random) == 0);
}
