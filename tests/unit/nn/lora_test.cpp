// Adapters on single layers, and patterns that select them.
#include "capstan/nn/lora.h"

#include <ATen/ATen.h>

#include "capstan/core/error.h"
#include "capstan/nn/linear.h"
#include "capstan/nn/patterns.h"
#include "support/catch.h"

using namespace capstan;

namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// A layer whose every value is drawn, with an adapter.
template <class Layer>
Layer drawn_layer(double dropout = 0) {
  at::manual_seed(4);
  Layer layer(5, 3);
  const at::NoGradGuard no_grad;
  layer->attach_lora({.rank = 2, .scale = 1.5, .dropout = dropout});
  for (at::Tensor& parameter : layer->parameters()) parameter.normal_();
  return layer;
}

template <class Layer>
void check_formula(const Layer& layer, const at::Tensor& weight_OI) {
  const at::Tensor x = at::randn({2, 4, 5});
  const at::Tensor product = at::matmul(at::matmul(x, layer->lora_a().t()), layer->lora_b().t());
  const at::Tensor expected = at::matmul(x, weight_OI.t()) + layer->bias + 1.5 * product;
  CHECK(at::allclose(layer->forward(x), expected, 1e-5, 1e-5));
}

template <class Layer>
void check_merging(Layer layer) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({7, 5});
  const at::Tensor weight = layer->weight.clone();
  const at::Tensor unmerged = layer->forward(x);
  layer->merge_lora();
  layer->merge_lora();
  CHECK(layer->merged());
  CHECK_FALSE(at::allclose(layer->weight, weight));
  CHECK(largest_difference(layer->forward(x), unmerged) <= 1e-5);
  layer->unmerge_lora();
  layer->unmerge_lora();
  CHECK(at::equal(layer->weight, weight));
  CHECK(at::equal(layer->forward(x), unmerged));
  layer->merge_lora();
  layer->remove_lora();
  CHECK_FALSE(layer->has_lora());
  CHECK(layer->parameters().size() == 2);
  CHECK(largest_difference(layer->forward(x), unmerged) <= 1e-5);
}

}  // namespace

TEST_CASE("an adapter adds scale * B(A(x)) in both weight layouts", "[nn][lora]") {
  const at::NoGradGuard no_grad;
  const auto linear = drawn_layer<Linear>();
  check_formula(linear, linear->weight);
  const auto transposed = drawn_layer<TransposedLinear>();
  check_formula(transposed, transposed->weight.t());
  CHECK(linear->lora_a().sizes() == at::IntArrayRef({2, 5}));
  CHECK(transposed->lora_b().sizes() == at::IntArrayRef({3, 2}));
  CHECK(linear->in_features() == 5);
  CHECK(transposed->in_features() == 5);
  CHECK(transposed->out_features() == 3);
}

TEST_CASE("merging gives the same output, unmerging the same weight bit for bit", "[nn][lora]") {
  check_merging(drawn_layer<Linear>());
  check_merging(drawn_layer<TransposedLinear>());
}

TEST_CASE("an adapter's parameters carry peft's names, follow the module and get gradients", "[nn][lora]") {
  auto layer = drawn_layer<Linear>();
  layer->weight.set_requires_grad(false);
  std::vector<std::string> names;
  for (const auto& item : layer->named_parameters()) names.push_back(item.key());
  CHECK(names == std::vector<std::string>{"weight", "bias", "lora_A.weight", "lora_B.weight"});
  layer->forward(at::randn({2, 5})).sum().backward();
  CHECK(layer->lora_a().grad().defined());
  CHECK(layer->lora_b().grad().defined());
  CHECK_FALSE(layer->weight.grad().defined());
  layer->to(at::kDouble);
  CHECK(layer->lora_a().scalar_type() == at::kDouble);
}

TEST_CASE("dropout works on the adapter's input alone, and in training alone", "[nn][lora]") {
  const at::NoGradGuard no_grad;
  auto layer = drawn_layer<Linear>(0.5);
  const at::Tensor x = at::randn({64, 5});
  layer->eval();
  CHECK(at::equal(layer->forward(x), layer->forward(x)));
  layer->train();
  CHECK_FALSE(at::equal(layer->forward(x), layer->forward(x)));
  at::Tensor(layer->lora_b()).zero_();
  CHECK(at::equal(layer->forward(x), layer->forward(x)));
}

TEST_CASE("name patterns are prefixes at a dot, globs or regular expressions", "[nn][patterns]") {
  const auto matches = [](const char* pattern, const char* name) { return NamePattern(pattern).matches(name); };
  CHECK(matches("encoder", "encoder.layernorm.bias"));
  CHECK(matches("encoder.layernorm.bias", "encoder.layernorm.bias"));
  CHECK_FALSE(matches("encoder", "encoders.bias"));
  CHECK_FALSE(matches("layernorm", "encoder.layernorm.bias"));
  CHECK(matches("*.bias", "a.b.bias"));
  CHECK_FALSE(matches("*.bias", "a.b.bias.c"));
  CHECK(matches("a.?.*ln_?.weight", "a.1.x.ln_2.weight"));
  CHECK_FALSE(matches("a.?.ln", "a.10.ln"));
  CHECK(matches("*a*b*", "xxaxaxbx"));
  CHECK_FALSE(matches("*a*b*c", "xxaxaxbx"));
  CHECK(matches("regex:.*\\.(ln_1|ln_2)\\..*", "h.0.ln_2.weight"));
  CHECK_FALSE(matches("regex:ln_1", "h.ln_1"));
  CHECK_FALSE(matches("", "a"));
  CHECK_THROWS_AS(NamePattern("regex:("), ConfigError);
  CHECK_THROWS_WITH(NamePattern("regex:("), ContainsSubstring("'regex:(': not a regular expression"));
}

TEST_CASE("modules are selected by the end of their name or by a whole regular expression", "[nn][patterns]") {
  CHECK(selects_module("query", "layer.0.attention.query"));
  CHECK(selects_module("attention.query", "layer.0.attention.query"));
  CHECK(selects_module("query", "query"));
  CHECK_FALSE(selects_module("uery", "layer.0.attention.query"));
  CHECK(selects_module(".*\\.(query|key)", "layer.0.attention.query"));
  CHECK_FALSE(selects_module("(query|key)", "layer.0.attention.query"));
  CHECK_THROWS_AS(selects_module("[", "x"), ConfigError);
}

TEST_CASE("a misspelt part of a name finds the nearest", "[nn][patterns]") {
  const std::vector<std::string> names{"encoder.layernorm.bias", "decoder.transformer.h.0.attn.c_attn.weight"};
  CHECK(nearest_name("encodr", names) == " Did you mean 'encoder'?");
  CHECK(nearest_name("c_atn", names) == " Did you mean 'c_attn'?");
  CHECK(nearest_name("zzzzzz", names).empty());
}
