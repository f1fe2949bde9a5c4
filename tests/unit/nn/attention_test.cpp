// The fused attention against softmax written out.
#include "capstan/nn/attention.h"

#include <ATen/ATen.h>

#include <cmath>

#include "support/catch.h"

namespace {

at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& allowed) {
  const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(q.size(-1)));
  return at::matmul(at::softmax(scores.masked_fill(allowed.logical_not(), -INFINITY), -1), v);
}

double largest(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("attention equals softmax written out for every mask", "[nn][attention]") {
  at::manual_seed(1);
  const at::Tensor k = at::randn({2, 3, 7, 5}), v = at::randn({2, 3, 7, 5});
  const auto all = [](std::int64_t queries) { return at::ones({queries, 7}, at::kBool); };

  const at::Tensor q4 = at::randn({2, 3, 4, 5}), q7 = at::randn({2, 3, 7, 5}), q1 = at::randn({2, 3, 1, 5});
  CHECK(largest(capstan::attend(q4, k, v), plain_attention(q4, k, v, all(4))) < 1e-6);
  // Seven new tokens without a past, four behind three, one behind six.
  const auto masked = [&](const at::Tensor& q, std::int64_t past) {
    return capstan::attend(q, k, v, capstan::causal_mask(q.size(2), past, at::kCPU));
  };
  CHECK(largest(masked(q7, 0), plain_attention(q7, k, v, all(7).tril())) < 1e-6);
  CHECK(largest(masked(q4, 3), plain_attention(q4, k, v, all(4).tril(3))) < 1e-6);
  CHECK(largest(masked(q1, 6), plain_attention(q1, k, v, all(1))) < 1e-6);
}

TEST_CASE("dropout of attention keeps the mean and changes the values", "[nn][attention]") {
  at::manual_seed(2);
  const at::Tensor q = at::zeros({1, 1, 4000, 4}), k = at::zeros({1, 1, 50, 4}), v = at::ones({1, 1, 50, 4});
  const at::Tensor out = capstan::attend(q, k, v, {}, 0.3);
  CHECK(out.mean().item<double>() == Approx(1).margin(0.01));
  CHECK(out.std().item<double>() > 0.05);
}

TEST_CASE("heads are split and merged without mixing", "[nn][attention]") {
  const at::Tensor x = at::arange(24, at::kFloat).view({1, 4, 6});
  const at::Tensor heads = capstan::split_heads(x, 3);
  CHECK(heads.sizes() == at::IntArrayRef({1, 3, 4, 2}));
  CHECK(heads[0][2][1][0].item<float>() == 10);  // token 1, head 2, first value
  CHECK(at::equal(capstan::merge_heads(heads), x));
}
