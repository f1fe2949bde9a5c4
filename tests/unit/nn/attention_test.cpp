// The two kernels of attention against softmax written out here, and against each other.
#include "capstan/nn/attention.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <cmath>

#include "capstan/core/error.h"
#include "support/catch.h"

namespace {

using capstan::AttentionKernel;

at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& allowed,
                           double scale) {
  const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)) * scale;
  return at::matmul(at::softmax(scores.masked_fill(allowed.logical_not(), -INFINITY), -1), v);
}

double largest(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("attention equals softmax written out for every kernel, mask and scale", "[nn][attention]") {
  at::manual_seed(1);
  const at::Tensor k = at::randn({2, 3, 7, 5}), v = at::randn({2, 3, 7, 5});
  const auto all = [](std::int64_t queries) { return at::ones({queries, 7}, at::kBool); };
  const at::Tensor q4 = at::randn({2, 3, 4, 5}), q7 = at::randn({2, 3, 7, 5}), q1 = at::randn({2, 3, 1, 5});

  for (const AttentionKernel kernel : {AttentionKernel::kSdpa, AttentionKernel::kEager})
    for (const bool upcast : {false, true})
      for (const std::optional<double> scale : {std::optional<double>(), std::optional<double>(0.9)}) {
        const capstan::AttentionOptions options{.kernel = kernel, .scale = scale, .dropout = 0, .upcast = upcast};
        const double factor = scale.value_or(1 / std::sqrt(5.0));
        // Seven new tokens without a past, four behind three, one behind six.
        const auto masked = [&](const at::Tensor& q, std::int64_t past) {
          return capstan::attend(q, k, v, capstan::causal_mask(q.size(2), past, at::kCPU), options);
        };
        CHECK(largest(capstan::attend(q4, k, v, {}, options), plain_attention(q4, k, v, all(4), factor)) < 1e-6);
        CHECK(largest(masked(q7, 0), plain_attention(q7, k, v, all(7).tril(), factor)) < 1e-6);
        CHECK(largest(masked(q4, 3), plain_attention(q4, k, v, all(4).tril(3), factor)) < 1e-6);
        CHECK(largest(masked(q1, 6), plain_attention(q1, k, v, all(1), factor)) < 1e-6);
      }
}

TEST_CASE("both kernels have the same gradients", "[nn][attention]") {
  at::manual_seed(4);
  std::vector<std::vector<at::Tensor>> gradients;
  const at::Tensor q = at::randn({2, 2, 6, 4}), k = at::randn({2, 2, 6, 4}), v = at::randn({2, 2, 6, 4});
  for (const AttentionKernel kernel : {AttentionKernel::kSdpa, AttentionKernel::kEager}) {
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& x : {q, k, v}) inputs.push_back(x.clone().requires_grad_());
    capstan::AttentionOptions options;
    options.kernel = kernel;
    capstan::attend(inputs[0], inputs[1], inputs[2], capstan::causal_mask(6, 0, at::kCPU), options)
        .pow(2)
        .sum()
        .backward();
    gradients.push_back({inputs[0].grad(), inputs[1].grad(), inputs[2].grad()});
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(largest(gradients[0][i], gradients[1][i]) < 1e-5);
  CHECK(gradients[0][0].abs().max().item<double>() > 0.1);
}

TEST_CASE("upcast scores are exact in float32 where bfloat16 rounds them", "[nn][attention]") {
  at::manual_seed(5);
  const auto half = [](at::IntArrayRef sizes) { return at::randn(sizes).mul(4).to(at::kBFloat16); };
  const at::Tensor q = half({1, 2, 8, 16}), k = half({1, 2, 8, 16}), v = half({1, 2, 8, 16});
  const at::Tensor exact =
      plain_attention(q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat), at::ones({8, 8}, at::kBool), 0.25);
  const auto error = [&](bool upcast, bool autocast) {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, autocast);
    capstan::AttentionOptions options;
    options.kernel = AttentionKernel::kEager;
    options.upcast = upcast;
    const at::Tensor out = capstan::attend(q, k, v, {}, options);
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
    CHECK(out.scalar_type() == at::kBFloat16);
    return (out.to(at::kFloat) - exact).pow(2).mean().sqrt().item<double>();
  };
  CHECK(error(true, false) < 0.7 * error(false, false));
  CHECK(error(true, true) == Approx(error(true, false)));  // autocast does not reach into it
}

TEST_CASE("dropout of attention keeps the mean and changes the values", "[nn][attention]") {
  at::manual_seed(2);
  const at::Tensor q = at::zeros({1, 1, 4000, 4}), k = at::zeros({1, 1, 50, 4}), v = at::ones({1, 1, 50, 4});
  for (const AttentionKernel kernel : {AttentionKernel::kSdpa, AttentionKernel::kEager}) {
    capstan::AttentionOptions options;
    options.kernel = kernel;
    options.dropout = 0.3;
    const at::Tensor out = capstan::attend(q, k, v, {}, options);
    CHECK(out.mean().item<double>() == Approx(1).margin(0.01));
    CHECK(out.std().item<double>() > 0.05);
  }
}

TEST_CASE("kernels have transformers' names", "[nn][attention]") {
  CHECK(capstan::parse_attention("sdpa") == AttentionKernel::kSdpa);
  CHECK(capstan::parse_attention("eager") == AttentionKernel::kEager);
  CHECK_THROWS_AS(capstan::parse_attention("flash_attention_2"), capstan::ConfigError);
  CHECK_THROWS_WITH(capstan::parse_attention("flash_attention_2"),
                    "attn_implementation is 'flash_attention_2'; expected 'sdpa' or 'eager'.");
}

TEST_CASE("heads are split and merged without mixing", "[nn][attention]") {
  const at::Tensor x = at::arange(24, at::kFloat).view({1, 4, 6});
  const at::Tensor heads = capstan::split_heads(x, 3);
  CHECK(heads.sizes() == at::IntArrayRef({1, 3, 4, 2}));
  CHECK(heads[0][2][1][0].item<float>() == 10);  // token 1, head 2, first value
  CHECK(at::equal(capstan::merge_heads(heads), x));
}
