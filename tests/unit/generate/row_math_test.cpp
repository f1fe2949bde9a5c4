// Row passes against the tensor library.
#include "generate/row_math.h"

#include <ATen/CPUGeneratorImpl.h>

#include <limits>

#include "support/test_pch.h"

using namespace capstan;
using namespace capstan::search;

namespace {

at::Tensor random_row(std::int64_t size, std::uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return 4 * at::randn({size}, generator, at::kFloat);
}

std::span<float> span_of(at::Tensor& row) {
  return {row.mutable_data_ptr<float>(), static_cast<std::size_t>(row.numel())};
}

}  // namespace

TEST_CASE("log_softmax of a row is the tensor library's", "[generate][unit]") {
  const std::int64_t size = GENERATE(1, 15, 16, 17, 300, 4096, 50257);
  at::Tensor row = random_row(size, static_cast<std::uint64_t>(size));
  if (size > 20) row[3] = -std::numeric_limits<float>::infinity();
  const at::Tensor expected = row.to(at::kDouble).log_softmax(-1);
  RowMax maxima;
  REQUIRE(maxima.scan(span_of(row)) == row.max().item<float>());
  const float log_sum = log_sum_exp(span_of(row), maxima.max());
  normalize(span_of(row), maxima.max(), log_sum);
  REQUIRE(at::allclose(row.to(at::kDouble), expected, 1e-6, 2e-6));
}

TEST_CASE("the best of a row are those of a whole sort, of equals the first ones", "[generate][unit]") {
  const std::int64_t size = GENERATE(1, 40, 300, 5000, 50257);
  const std::size_t k = GENERATE(1, 2, 7, 50, 1000);
  at::Tensor row = random_row(size, 9);
  if (size >= 300) row.slice(0, 7, 290, 13).fill_(row.max().item<float>());
  const auto [values, ids] = row.sort(/*stable=*/true, -1, /*descending=*/true);
  RowMax maxima;
  maxima.scan(span_of(row));
  std::vector<Scored> best;
  best_of(span_of(row), maxima, k, best);
  REQUIRE(best.size() == std::min(k, static_cast<std::size_t>(size)));
  bool equal = true;
  for (std::size_t i = 0; i < best.size(); ++i)
    equal = equal && best[i].id == ids[static_cast<std::int64_t>(i)].item<std::int64_t>();
  REQUIRE(equal);
}

TEST_CASE("a row without numbers has as many best tokens as any other", "[generate][unit]") {
  at::Tensor row = at::full({300}, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  RowMax maxima;
  maxima.scan(span_of(row));
  std::vector<Scored> best;
  best_of(span_of(row), maxima, 4, best);
  REQUIRE(best.size() == 4);
}
