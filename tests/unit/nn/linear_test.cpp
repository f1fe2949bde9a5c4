// Linear layers against torch's operators and its own autograd: values and gradients, with an activation before, and
// under autocast.
#include "capstan/nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "support/test_pch.h"

using namespace capstan;

namespace {

class Bf16 {
 public:
  explicit Bf16(bool on) : on_(on) { set(on); }
  ~Bf16() {
    if (!on_) return;
    set(false);
    at::autocast::clear_cache();
  }

 private:
  static void set(bool on) {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, on);
  }
  bool on_;
};

struct Run {
  at::Tensor y, x, weight, bias;  // the last three: gradients
};

// `layer` gives an output for x; what matters is that both sides get the same weights, input and outer gradient.
template <class Holder, class Forward>
Run run(Holder layer, bool bf16, const Forward& forward) {
  at::manual_seed(7);
  const at::Tensor x = at::randn({2, 5, 6}).requires_grad_(true);
  {
    const at::NoGradGuard no_grad;
    layer->weight.normal_();
    layer->bias.normal_();
  }
  at::Tensor y;
  {
    const Bf16 autocast(bf16);
    y = forward(layer, x);
  }
  y.to(at::kFloat).tanh().sum().backward();
  return {y.detach(), x.grad(), layer->weight.grad(), layer->bias.grad()};
}

void check_equal(const Run& ours, const Run& theirs) {
  const auto same = [](const at::Tensor& a, const at::Tensor& b) {
    return a.scalar_type() == b.scalar_type() && a.equal(b);
  };
  CHECK(same(ours.y, theirs.y));
  CHECK(same(ours.x, theirs.x));
  CHECK(same(ours.weight, theirs.weight));
  CHECK(same(ours.bias, theirs.bias));
}

at::Tensor product(const Linear& layer, const at::Tensor& x) { return at::linear(x, layer->weight, layer->bias); }
at::Tensor product(const TransposedLinear& layer, const at::Tensor& x) {
  return at::addmm(layer->bias, x.flatten(0, 1), layer->weight).view({2, 5, 4});
}

}  // namespace

TEMPLATE_TEST_CASE("what is computed again in backward changes no number", "[nn][linear]", Linear, TransposedLinear) {
  const bool bf16 = GENERATE(false, true);
  CAPTURE(bf16);
  const auto ours =
      run(TestType(6, 4), bf16, [](const TestType& layer, const at::Tensor& x) { return layer->forward(x); });
  const auto theirs =
      run(TestType(6, 4), bf16, [](const TestType& layer, const at::Tensor& x) { return product(layer, x); });
  check_equal(ours, theirs);
  for (const char* name : {"gelu", "gelu_new", "relu", "silu", "tanh"}) {
    CAPTURE(name);
    const Activation activation = parse_activation(name);
    // Under autocast x comes from a product, in its type.
    const auto input = [&](const at::Tensor& x) { return bf16 ? x.to(at::kBFloat16) : x; };
    check_equal(
        run(TestType(6, 4), bf16,
            [&](const TestType& layer, const at::Tensor& x) { return layer->forward_activated(input(x), activation); }),
        run(TestType(6, 4), bf16, [&](const TestType& layer, const at::Tensor& x) {
          return product(layer, activate(input(x), activation));
        }));
  }
}

TEST_CASE("a frozen weight gets no gradient, and its input still does", "[nn][linear]") {
  Linear layer(6, 4);
  layer->weight.set_requires_grad(false);
  const at::Tensor x = at::ones({3, 6}).requires_grad_(true);
  layer->forward_activated(x, Activation::kGelu).sum().backward();
  CHECK_FALSE(layer->weight.grad().defined());
  CHECK(layer->bias.grad().defined());
  CHECK(x.grad().defined());
}

TEST_CASE("without gradients an activated product is the plain one", "[nn][linear]") {
  const at::NoGradGuard no_grad;
  Linear layer(6, 4, /*with_bias=*/false);
  layer->weight.normal_();
  const at::Tensor x = at::randn({3, 6});
  CHECK(layer->forward_activated(x, Activation::kSilu).equal(at::linear(at::silu(x), layer->weight)));
}

TEST_CASE("an adapter sees the activated values", "[nn][linear][lora]") {
  Linear layer(6, 4);
  layer->attach_lora({.rank = 2});
  const at::NoGradGuard no_grad;
  for (at::Tensor parameter : layer->parameters()) parameter.normal_();
  const at::Tensor x = at::randn({3, 6});
  CHECK(layer->forward_activated(x, Activation::kGelu).equal(layer->forward(at::gelu(x))));
}
