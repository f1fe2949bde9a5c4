// The small blocks: linear layouts, activations, nested names, seeded initial values.
#include <ATen/ATen.h>

#include "capstan/core/error.h"
#include "capstan/nn/activation.h"
#include "capstan/nn/init.h"
#include "capstan/nn/linear.h"
#include "capstan/nn/scope.h"
#include "support/catch.h"

using namespace capstan;

TEST_CASE("the two linear layouts compute the same function", "[nn][linear]") {
  at::manual_seed(3);
  const at::NoGradGuard no_grad;
  Linear linear(4, 3);
  TransposedLinear transposed(4, 3);
  linear->weight.normal_();
  linear->bias.normal_();
  transposed->weight.copy_(linear->weight.t());
  transposed->bias.copy_(linear->bias);
  const at::Tensor x = at::randn({2, 5, 4});
  CHECK(at::allclose(linear->forward(x), transposed->forward(x), 1e-6, 1e-6));
  CHECK(at::allclose(linear->forward(x), at::matmul(x, linear->weight.t()) + linear->bias, 1e-6, 1e-6));
  CHECK(Linear(4, 3, false)->parameters().size() == 1);
}

TEST_CASE("activations have their published values", "[nn][activation]") {
  // Computed with Python's math: x (1 + erf(x / sqrt 2)) / 2, its tanh approximation, max(x, 0), x / (1 + exp(-x))
  // and tanh(x) at -1.5 and 0.5.
  const at::Tensor x = at::tensor({-1.5, 0.5}, at::kDouble);
  const auto check = [&](const char* name, double first, double second) {
    const at::Tensor y = activate(x, parse_activation(name));
    CHECK(y[0].item<double>() == Approx(first).margin(1e-7));
    CHECK(y[1].item<double>() == Approx(second).margin(1e-7));
  };
  check("gelu", -0.1002108019, 0.3457312307);
  check("gelu_new", -0.1004284230, 0.3457140098);
  check("gelu_pytorch_tanh", -0.1004284230, 0.3457140098);
  check("relu", 0, 0.5);
  check("silu", -0.2736382856, 0.3112296656);
  check("tanh", -0.9051482536, 0.4621171573);
  CHECK_THROWS_AS(parse_activation("mish"), UnsupportedError);
  CHECK_THROWS_WITH(parse_activation("mish"), ContainsSubstring("unknown activation 'mish'; known: gelu"));
}

TEST_CASE("scopes nest parameter names and are made once", "[nn][scope]") {
  torch::nn::Module root;
  scope(root, "a.b").register_parameter("w", at::zeros({1}));
  scope(root, "a").register_parameter("v", at::zeros({1}));
  scope(root, "a.b").register_parameter("u", at::zeros({1}));
  std::vector<std::string> names;
  for (const auto& item : root.named_parameters()) names.push_back(item.key());
  CHECK(names == std::vector<std::string>{"a.v", "a.b.w", "a.b.u"});
}

TEST_CASE("initial values depend on seed and name only", "[nn][init]") {
  const auto draw = [](std::uint64_t seed, const char* name) {
    const at::Tensor tensor = at::zeros({64, 64});
    init_normal(tensor, 0.5, seed, name);
    return tensor;
  };
  const at::Tensor first = draw(1, "a");
  at::manual_seed(99);
  at::rand({10});
  CHECK(at::equal(first, draw(1, "a")));
  CHECK_FALSE(at::equal(first, draw(1, "b")));
  CHECK_FALSE(at::equal(first, draw(2, "a")));
  CHECK(first.std().item<double>() == Approx(0.5).epsilon(0.05));
  CHECK(first.mean().item<double>() == Approx(0).margin(0.03));
}
