// Gradient checkpointing against the same computation with everything kept.
#include "capstan/nn/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "capstan/nn/linear.h"
#include "support/catch.h"

using namespace capstan;

namespace {

using Inputs = std::vector<at::Tensor>;

// Two layers with dropout between, and a second input that may be absent.
struct Net {
  Linear first{6, 8}, second{8, 6};
  Net() {
    at::manual_seed(2);
    const at::NoGradGuard no_grad;
    for (auto* layer : {&first, &second})
      for (at::Tensor& parameter : (*layer)->parameters()) parameter.normal_();
  }
  at::Tensor operator()(const Inputs& in) const {
    at::Tensor x = at::dropout(first->forward(in[0]), 0.5, true);
    x = second->forward(at::gelu(x));
    return in.size() > 1 && in[1].defined() ? x * in[1] : x;
  }
  Inputs parameters() const {
    Inputs all = first->parameters();
    for (const at::Tensor& parameter : second->parameters()) all.push_back(parameter);
    return all;
  }
};

struct Outcome {
  at::Tensor output;
  Inputs gradients;  // of inputs, then parameters; undefined where there is none
  at::Tensor next_draw;
};

// Three blocks in a row, each the same net; random numbers drawn between forward and backward must not matter.
Outcome run(bool recomputes, const Inputs& inputs, bool draw_between = false) {
  const Net net;
  at::manual_seed(9);
  Inputs leaves;
  for (const at::Tensor& input : inputs)
    leaves.push_back(input.defined() ? input.detach().set_requires_grad(input.requires_grad()) : input);
  at::Tensor x = leaves[0];
  for (int i = 0; i < 3; ++i) {
    Inputs in = leaves;
    in[0] = x;
    x = recomputes ? recompute([&net](const Inputs& given) { return net(given); }, in) : net(in);
  }
  if (draw_between) at::rand({17});
  x.pow(2).sum().backward();
  Outcome result{.output = x.detach(), .gradients = {}, .next_draw = at::rand({4})};
  for (const at::Tensor& leaf : leaves) result.gradients.push_back(leaf.defined() ? leaf.grad() : at::Tensor());
  for (const at::Tensor& parameter : net.parameters()) result.gradients.push_back(parameter.grad());
  return result;
}

void check_equal(const Outcome& a, const Outcome& b) {
  CHECK(at::equal(a.output, b.output));
  CHECK(at::equal(a.next_draw, b.next_draw));
  REQUIRE(a.gradients.size() == b.gradients.size());
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    CAPTURE(i);
    REQUIRE(a.gradients[i].defined() == b.gradients[i].defined());
    if (a.gradients[i].defined()) CHECK(at::equal(a.gradients[i], b.gradients[i]));
  }
}

at::Tensor input(bool requires_grad) { return at::linspace(-1, 1, 24).view({4, 6}).set_requires_grad(requires_grad); }

}  // namespace

TEST_CASE("recomputed gradients and random numbers are the same bit for bit, dropout included", "[nn][recompute]") {
  const bool first = GENERATE(true, false), second = GENERATE(true, false), between = GENERATE(true, false);
  const Inputs inputs{input(first), input(second)};
  check_equal(run(false, inputs, between), run(true, inputs, between));
}

TEST_CASE("an input may be undefined", "[nn][recompute]") {
  check_equal(run(false, {input(true), at::Tensor()}), run(true, {input(true), at::Tensor()}));
  check_equal(run(false, {input(false), at::Tensor()}), run(true, {input(false), at::Tensor()}));
}

TEST_CASE("where nothing learns there is no graph and no second run", "[nn][recompute]") {
  const Net net;
  for (const at::Tensor& parameter : net.parameters()) parameter.set_requires_grad(false);
  int runs = 0;
  const auto block = [&](const Inputs& in) {
    ++runs;
    return net(in);
  };
  CHECK_FALSE(recompute(block, {input(false)}).requires_grad());
  const at::NoGradGuard no_grad;
  CHECK_FALSE(recompute(block, {input(true)}).requires_grad());
  CHECK(runs == 2);
}

TEST_CASE("the second run sees autocast as the first did", "[nn][recompute]") {
  const Net net;
  const auto gradients = [&](bool recomputes) {
    at::manual_seed(1);
    at::Tensor loss;
    at::autocast::increment_nesting();
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    const auto block = [&net](const Inputs& in) { return net(in); };
    at::Tensor x = recomputes ? recompute(block, {input(true)}) : net({input(true)});
    CHECK(x.scalar_type() == at::kBFloat16);
    loss = x.to(at::kFloat).pow(2).sum();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    loss.backward();
    Inputs result;
    for (const at::Tensor& parameter : net.parameters()) {
      result.push_back(parameter.grad().clone());
      at::Tensor(parameter).mutable_grad().reset();
    }
    CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    CHECK(at::autocast::is_autocast_cache_enabled());
    return result;
  };
  const Inputs kept = gradients(false), again = gradients(true);
  for (std::size_t i = 0; i < kept.size(); ++i) CHECK(at::equal(kept[i], again[i]));
}

TEST_CASE("nothing of the block is kept between forward and backward", "[nn][recompute]") {
  // What the block makes is watched by weak references: after forward they must be dead.
  std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> made;
  const at::Tensor weight = at::randn({6, 6}).set_requires_grad(true);
  const auto block = [&](const Inputs& in) {
    const at::Tensor hidden = at::matmul(in[0], weight).exp();
    made.emplace_back(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(hidden.storage().unsafeGetStorageImpl()));
    return at::matmul(hidden, weight);
  };
  const at::Tensor output = recompute(block, {input(true)});
  REQUIRE(made.size() == 1);
  CHECK(made[0].expired());
  output.sum().backward();
  CHECK(made.size() == 2);
}

TEST_CASE("gradients of chosen inputs are refused", "[nn][recompute]") {
  const Net net;
  const at::Tensor x = input(true);
  const at::Tensor output = recompute([&net](const Inputs& in) { return net(in); }, {x});
  CHECK_THROWS_WITH(torch::autograd::grad({output.sum()}, {x}), ContainsSubstring("call backward()"));
}
