#include "capstan/train/optimizer.h"

#include <cmath>
#include <set>

#include "capstan/core/error.h"
#include "capstan/train/clip.h"
#include "support/golden.h"
#include "support/tiny_training.h"

using namespace capstan;

namespace {

// The values of make_adamw.py's wave().
at::Tensor wave(const std::vector<std::int64_t>& shape, double phase) {
  std::int64_t count = 1;
  for (const auto extent : shape) count *= extent;
  at::Tensor values = at::empty({count}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) values[i] = std::sin(0.7 * static_cast<double>(i) + phase);
  return values.reshape(shape);
}

std::vector<NamedParameter> parameters_of(const nlohmann::json& golden, double phase) {
  std::vector<NamedParameter> parameters;
  for (const auto& [name, shape] : golden["shapes"].items())
    parameters.push_back(
        {.name = name,
         .tensor = wave(shape.get<std::vector<std::int64_t>>(), phase).requires_grad_(),
         .weight_decay = name == "layer.weight" ? golden["options"]["weight_decay"].get<double>() : 0});
  return parameters;
}

double distance(const at::Tensor& found, const nlohmann::json& expected) {
  const auto values = expected.get<std::vector<double>>();
  return (found.detach().flatten().to(at::kDouble) - at::tensor(values, at::kDouble)).abs().max().item<double>();
}

OptimizerOptions options_of(const nlohmann::json& golden) {
  const auto& options = golden["options"];
  return {.beta1 = options["beta1"], .beta2 = options["beta2"], .epsilon = options["epsilon"]};
}

}  // namespace

TEST_CASE("adamw follows torch.optim.AdamW, with decay only where it applies", "[train][optimizer]") {
  const auto golden = testing::golden("adamw.json");
  auto parameters = parameters_of(golden, 0.1);
  const auto optimizer = optimizers().find("adamw").make(parameters, options_of(golden));
  int step = 0;
  for (const auto& expected : golden["steps"]) {
    ++step;
    for (auto& parameter : parameters)
      parameter.tensor.mutable_grad() = wave(parameter.tensor.sizes().vec(), 1.3 * step) * step;
    optimizer->step({.learning_rate = expected["learning_rate"]});
    for (const auto& parameter : parameters) {
      INFO(parameter.name << " after step " << step);
      CHECK(distance(parameter.tensor, expected["weights"][parameter.name]) < 2e-6);
    }
  }
  REQUIRE(step == 12);
}

TEST_CASE("clipping gives torch's norm and gradients", "[train][clip]") {
  const auto golden = testing::golden("adamw.json");
  for (const auto& expected : golden["clipping"]) {
    auto parameters = parameters_of(golden, 0);
    for (auto& parameter : parameters) parameter.tensor.mutable_grad() = wave(parameter.tensor.sizes().vec(), 0.4);
    const at::Tensor norm = gradient_norm(parameters), divisor = clip_divisor(norm, expected["max_norm"]);
    CHECK(norm.item<double>() == Approx(expected["norm"].get<double>()).epsilon(1e-6));
    for (const auto& parameter : parameters)
      CHECK(distance(parameter.tensor.grad() / divisor, expected["gradients"][parameter.name]) < 1e-6);
  }
}

TEST_CASE("a max_grad_norm of 0 leaves the gradients", "[train][clip]") {
  std::vector<NamedParameter> parameters{{"w", at::zeros({2}).requires_grad_()}};
  parameters[0].tensor.mutable_grad() = at::tensor({3.0F, 4.0F});
  const at::Tensor norm = gradient_norm(parameters);
  CHECK(norm.item<double>() == 5.0);
  CHECK(clip_divisor(norm, 0).item<double>() == 1.0);
}

TEST_CASE("the optimizer divides gradients and skips as it is told", "[train][optimizer]") {
  const auto updated = [](const at::Tensor& gradient, const UpdateControl& control) {
    std::vector<NamedParameter> parameters{{"w", at::ones({3}).requires_grad_()}};
    const auto optimizer = optimizers().find("adamw").make(parameters, {.epsilon = 1e-2});
    parameters[0].tensor.mutable_grad() = gradient.clone();
    optimizer->step(control);
    return std::pair(parameters[0].tensor.detach().clone(), optimizer->state().at("step.w").item<double>());
  };
  const at::Tensor gradient = at::tensor({0.1F, -0.2F, 0.3F});
  const auto plain = updated(gradient, {.learning_rate = 0.1});
  const auto divided = updated(gradient * 8, {.learning_rate = 0.1, .gradient_divisor = at::full({}, 8.0F)});
  CHECK((plain.first - divided.first).abs().max().item<double>() < 1e-7);
  const auto skipped = updated(gradient, {.learning_rate = 0.1, .skip = at::ones({})});
  CHECK(skipped.first.equal(at::ones({3})));
  CHECK(skipped.second == 0);
  CHECK(updated(gradient, {.learning_rate = 0.1, .skip = at::zeros({})}).first.equal(plain.first));
}

TEST_CASE("a parameter without gradient keeps its value and its state", "[train][optimizer]") {
  std::vector<NamedParameter> parameters{{"used", at::ones({2}).requires_grad_(), 1, 0.5},
                                         {"idle", at::ones({2}).requires_grad_(), 1, 0.5}};
  const auto optimizer = optimizers().find("adamw").make(parameters, {});
  parameters[0].tensor.mutable_grad() = at::ones({2});
  optimizer->step({.learning_rate = 0.1});
  CHECK(parameters[1].tensor.equal(at::ones({2})));
  CHECK_FALSE(parameters[0].tensor.equal(at::ones({2})));
  CHECK(optimizer->state().at("step.idle").item<double>() == 0);
}

TEST_CASE("optimizer state is keyed by name and refuses another model's", "[train][optimizer]") {
  std::vector<NamedParameter> parameters{{"a", at::ones({2}).requires_grad_()}};
  const auto optimizer = optimizers().find("adamw").make(parameters, {});
  TensorMap state = optimizer->state();
  REQUIRE(state.size() == 3);
  CHECK(state.contains("exp_avg.a"));
  CHECK(state.contains("exp_avg_sq.a"));
  state["exp_avg.b"] = at::ones({1});
  state["exp_avg.a"] = at::ones({3});
  CHECK_THROWS_WITH(optimizer->load_state(state), ContainsSubstring("exp_avg.a has another shape") &&
                                                      ContainsSubstring("exp_avg.b belongs to no parameter"));
  state.erase("exp_avg.a");
  CHECK_THROWS_AS(optimizer->load_state(state), CheckpointError);
}
