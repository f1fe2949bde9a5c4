// Against the plain formula: logits, at::cross_entropy_loss and torch's own autograd.
#include "capstan/nn/linear_cross_entropy.h"

#include <ATen/autocast_mode.h>

#include "support/test_pch.h"

using namespace capstan;

namespace {

constexpr std::int64_t kPositions = 23, kWidth = 12, kVocab = 57;

struct Inputs {
  at::Tensor hidden, weight, labels;
  explicit Inputs(at::ScalarType type = at::kFloat) {
    at::manual_seed(3);
    hidden = at::randn({kPositions, kWidth}).to(type).requires_grad_(true);
    weight = at::randn({kVocab, kWidth}).to(type).requires_grad_(true);
    labels = at::randint(0, kVocab, {kPositions}, at::kLong);
  }
};

at::Tensor plain(const Inputs& in, const CrossEntropyOptions& options) {
  const at::Tensor logits = at::linear(in.hidden, in.weight).to(at::kFloat);
  at::Tensor loss = at::cross_entropy_loss(logits, in.labels, {}, at::Reduction::Sum, -100, options.label_smoothing);
  if (options.z_loss > 0) loss = loss + options.z_loss * logits.logsumexp(1).square().sum();
  return loss * options.scale;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("loss and gradients equal the plain formula for every option and chunk", "[nn][cross_entropy]") {
  for (const double smoothing : {0.0, 0.1})
    for (const double z_loss : {0.0, 1e-2})
      for (const std::int64_t chunk : {1, 7, 23, 1000})
        for (const double outer : {1.0, 0.5}) {
          const CrossEntropyOptions options{
              .label_smoothing = smoothing, .z_loss = z_loss, .scale = 0.25, .chunk = chunk};
          const Inputs ours, theirs;
          const at::Tensor loss = linear_cross_entropy(ours.hidden, ours.weight, ours.labels, options);
          const at::Tensor expected = plain(theirs, options);
          (loss * outer).backward();
          (expected * outer).backward();
          CAPTURE(smoothing, z_loss, chunk, outer);
          CHECK(loss.item<double>() == Approx(expected.item<double>()).epsilon(2e-6));
          CHECK(difference(ours.hidden.grad(), theirs.hidden.grad()) < 2e-6);
          CHECK(difference(ours.weight.grad(), theirs.weight.grad()) < 2e-6);
        }
}

TEST_CASE("ignored positions add nothing", "[nn][cross_entropy]") {
  const CrossEntropyOptions options{.label_smoothing = 0.1, .z_loss = 1e-2, .scale = 0.5, .ignores = true, .chunk = 7};
  Inputs ours, theirs;
  const at::Tensor kept = at::tensor({0, 3, 4, 9, 15, 22}, at::kLong);
  const at::Tensor labels = at::full_like(ours.labels, -100).index_copy(0, kept, ours.labels.index_select(0, kept));
  const at::Tensor loss = linear_cross_entropy(ours.hidden, ours.weight, labels, options);
  const at::Tensor expected =
      linear_cross_entropy(theirs.hidden.index_select(0, kept), theirs.weight, theirs.labels.index_select(0, kept),
                           {.label_smoothing = 0.1, .z_loss = 1e-2, .scale = 0.5});
  loss.backward();
  expected.backward();
  CHECK(loss.item<double>() == Approx(expected.item<double>()).epsilon(2e-6));
  CHECK(difference(ours.hidden.grad(), theirs.hidden.grad()) < 2e-6);
  CHECK(difference(ours.weight.grad(), theirs.weight.grad()) < 2e-6);
}

TEST_CASE("in float16 gradients are not scaled before the loss scale is there", "[nn][cross_entropy]") {
  // Scaled at once they would be below 6e-8, the smallest number of float16.
  Inputs ours(at::kHalf), theirs(at::kHalf);
  const CrossEntropyOptions options{.scale = 1e-7};
  (linear_cross_entropy(ours.hidden, ours.weight, ours.labels, options) * 1e7).backward();
  linear_cross_entropy(theirs.hidden, theirs.weight, theirs.labels).backward();
  CHECK(difference(ours.hidden.grad().to(at::kFloat), theirs.hidden.grad().to(at::kFloat)) < 2e-3);
  CHECK(difference(ours.weight.grad().to(at::kFloat), theirs.weight.grad().to(at::kFloat)) < 2e-3);
}

TEST_CASE("what needs no gradient gets none", "[nn][cross_entropy]") {
  Inputs in;
  in.weight.set_requires_grad(false);
  linear_cross_entropy(in.hidden, in.weight, in.labels).backward();
  CHECK(in.hidden.grad().defined());
  CHECK_FALSE(in.weight.grad().defined());
  const at::NoGradGuard no_grad;
  CHECK_FALSE(linear_cross_entropy(in.hidden, in.weight, in.labels).requires_grad());
}

TEST_CASE("no position at all gives a loss of zero and gradients of zero", "[nn][cross_entropy]") {
  Inputs in;
  const at::Tensor loss = linear_cross_entropy(in.hidden.narrow(0, 0, 0), in.weight, in.labels.narrow(0, 0, 0));
  loss.backward();
  CHECK(loss.item<double>() == 0);
  CHECK(in.weight.grad().abs().sum().item<double>() == 0);
}

TEST_CASE("under autocast only the products are in bfloat16", "[nn][cross_entropy]") {
  const Inputs exact;
  const at::Tensor expected = plain(exact, {});
  expected.backward();
  Inputs in;
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const at::Tensor loss = linear_cross_entropy(in.hidden, in.weight, in.labels);
  CHECK(at::autocast::is_autocast_enabled(at::kCPU));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  loss.backward();
  CHECK(loss.scalar_type() == at::kFloat);
  CHECK(in.weight.grad().scalar_type() == at::kFloat);
  CHECK(loss.item<double>() == Approx(expected.item<double>()).epsilon(1e-2));
  CHECK(loss.item<double>() != expected.item<double>());
  CHECK(difference(in.hidden.grad(), exact.hidden.grad()) < 2e-2);  // bfloat16 has 8 bits
  CHECK(difference(in.weight.grad(), exact.weight.grad()) < 2e-2);
}
