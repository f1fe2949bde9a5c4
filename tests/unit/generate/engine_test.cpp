// The CPU engine on every kind of kernel against the plain tensor operations of the module engine.
#include "capstan/generate/engine.h"

#include <cstdlib>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "generate/engines.h"
#include "support/test_pch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

// Faster instruction sets are switched off while it lives. "" is whatever the processor has.
class OnlyUpTo {
 public:
  explicit OnlyUpTo(const char* isa) { ::setenv("CAPSTAN_CPU", isa, 1); }
  ~OnlyUpTo() { ::unsetenv("CAPSTAN_CPU"); }
  OnlyUpTo(const OnlyUpTo&) = delete;
  OnlyUpTo& operator=(const OnlyUpTo&) = delete;
};

// Sizes that leave something over in every block: 33 rows, 2 * 32 + 4 numbers, 331 = 10 * 32 + 11 tokens.
Gpt2Config odd_config() {
  Gpt2Config config;
  config.vocab_size = 331;
  config.n_positions = 40;
  config.n_embd = 68;
  config.n_layer = 2;
  config.n_head = 4;
  config.n_inner = 150;
  return config;
}

std::shared_ptr<Gpt2> random_decoder(const Gpt2Config& config) {
  auto model = std::make_shared<Gpt2>(config);
  for (auto& item : model->named_parameters()) init_normal(item.value(), 0.1, 3, item.key());
  model->eval();
  return model;
}

// Adds pictures, draws, lets rows change places, leave and be doubled, adds more. -> logits of all steps.
std::vector<at::Tensor> play(DecodeEngine& engine, const Gpt2Config& config, std::int64_t pictures,
                             std::int64_t copies) {
  const c10::InferenceMode no_gradients;
  std::vector<at::Tensor> logits;
  std::int64_t token = 1;
  const auto steps = [&](int count) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::int64_t> tokens;
      for (std::int64_t row = 0; row < engine.rows(); ++row)
        tokens.push_back(token = (token * 31 + 7) % config.vocab_size);
      logits.push_back(engine.step(tokens).clone());
    }
  };
  const auto hidden = [&](std::int64_t count, std::int64_t num_tokens, std::uint64_t seed) {
    const at::Tensor x_BSD = at::zeros({count, config.add_cross_attention ? num_tokens : 0, config.n_embd});
    if (x_BSD.numel() > 0) init_normal(x_BSD, 1, seed, "hidden");
    return x_BSD;
  };
  engine.add(hidden(pictures, 17, 1), copies);
  steps(3);
  // Within each picture the rows turn around; the last picture leaves.
  std::vector<std::int64_t> kept;
  for (std::int64_t picture = 0; picture + 1 < pictures; ++picture)
    for (std::int64_t copy = 0; copy < copies; ++copy) kept.push_back(picture * copies + (copies - 1 - copy) / 2);
  engine.select(kept);
  steps(4);
  engine.add(hidden(1, 5, 2), copies);  // fewer tokens, and a text that has just begun
  steps(5);
  return logits;
}

double worst(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& expected) {
  double difference = 0, largest = 0;
  REQUIRE(ours.size() == expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    REQUIRE(ours[i].sizes() == expected[i].sizes());
    difference = std::max(difference, largest_difference(ours[i], expected[i]));
    largest = std::max(largest, expected[i].abs().max().item<double>());
  }
  return difference / largest;
}

double against_module(const Gpt2Config& config, const std::string& dtype, std::int64_t pictures, std::int64_t copies) {
  const auto model = random_decoder(config);
  const EngineOptions options{.max_rows = (pictures + 1) * copies, .max_tokens = 16, .dtype = dtype};
  const auto cpu = make_cpu_engine(*model, options);
  const auto module = make_module_engine(*model, options);
  return worst(play(*cpu, config, pictures, copies), play(*module, config, pictures, copies));
}

// Relative to the largest logit.
double tolerance(const std::string& dtype) { return dtype == "float32" ? 2e-6 : dtype == "bfloat16" ? 2e-2 : 2e-2; }

}  // namespace

TEST_CASE("every kernel gives the logits of plain tensor operations", "[generate][engine]") {
  for (const char* isa : {"", "avx512", "avx2", "plain"})
    for (const char* dtype : {"float32", "bfloat16", "int8"})
      // One row, several beams, more than one block of rows.
      for (const auto& [pictures, copies] : {std::pair{2, 1}, std::pair{3, 4}, std::pair{9, 5}, std::pair{36, 2}}) {
        const OnlyUpTo limit(isa);
        const double difference = against_module(odd_config(), dtype, pictures, copies);
        CAPTURE(isa, dtype, pictures, copies, difference);
        CHECK(difference <= tolerance(dtype));
        // Rounded weights must be noticed, or the type was not used.
        if (std::string(dtype) != "float32") CHECK(difference > 1e-5);
      }
}

TEST_CASE("every option of the decoder reaches the engine", "[generate][engine]") {
  const auto with = [](auto change) {
    Gpt2Config config = odd_config();
    change(config);
    return against_module(config, "float32", 3, 2);
  };
  for (const char* name : {"gelu_new", "gelu", "gelu_pytorch_tanh", "relu", "silu", "tanh"})
    CHECK(with([&](Gpt2Config& c) { c.activation_function = name; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.add_cross_attention = false; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.tie_word_embeddings = false; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.scale_attn_weights = false; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.scale_attn_by_inverse_layer_idx = true; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.reorder_and_upcast_attn = true; }) <= 2e-6);
  CHECK(with([](Gpt2Config& c) { c.layer_norm_epsilon = 0.1; }) <= 2e-6);
}

TEST_CASE("the module engine gives the logits of the model", "[generate][engine]") {
  const Gpt2Config config = odd_config();
  const auto model = random_decoder(config);
  const c10::InferenceMode no_gradients;
  const at::Tensor hidden_BSD = at::zeros({2, 9, config.n_embd});
  init_normal(hidden_BSD, 1, 4, "hidden");
  const at::Tensor ids_BT = at::arange(2 * 7).mul(13).remainder(config.vocab_size).view({2, 7});
  const at::Tensor expected_BTV = model->lm_head(model->forward(ids_BT, hidden_BSD));
  for (const bool own : {false, true}) {
    const EngineOptions options{.max_rows = 2, .max_tokens = 8};
    const auto engine = own ? make_engine(*model, options) : make_module_engine(*model, options);
    engine->add(hidden_BSD, 1);
    for (std::int64_t t = 0; t < 7; ++t) {
      const at::Tensor column = ids_BT.select(1, t).contiguous();
      const std::span tokens(column.const_data_ptr<std::int64_t>(), 2);
      CHECK(largest_difference(engine->step(tokens), expected_BTV.select(1, t)) <= 2e-6);
    }
  }
}

TEST_CASE("rows leave, double and join in any order, with sizes rounded or not", "[generate][engine]") {
  const Gpt2Config config = odd_config();
  const auto model = random_decoder(config);
  const c10::InferenceMode no_gradients;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Random random(seed);
    const EngineOptions options{.max_rows = 24, .max_tokens = 40};
    std::vector<std::unique_ptr<DecodeEngine>> engines;
    engines.push_back(make_cpu_engine(*model, options));
    engines.push_back(make_module_engine(*model, options, false));
    engines.push_back(make_module_engine(*model, options, true));
    std::vector<std::int64_t> lengths, pictures;
    std::int64_t num_pictures = 0;
    for (int turn = 0; turn < 30; ++turn) {
      const auto copies = static_cast<std::int64_t>(1 + random.below(3));
      if (lengths.size() + static_cast<std::size_t>(2 * copies) <= 24 && (lengths.empty() || random.below(3) == 0)) {
        const at::Tensor hidden_BSD = at::zeros({2, static_cast<std::int64_t>(3 + random.below(9)), config.n_embd});
        init_normal(hidden_BSD, 1, seed * 100 + static_cast<std::uint64_t>(turn), "hidden");
        for (auto& engine : engines) engine->add(hidden_BSD, copies);
        for (std::int64_t row = 0; row < 2 * copies; ++row) pictures.push_back(num_pictures + row / copies);
        num_pictures += 2;
        lengths.resize(pictures.size(), 0);
      }
      std::vector<std::int64_t> tokens(lengths.size());
      for (std::int64_t& token : tokens) token = static_cast<std::int64_t>(random.below(331));
      std::vector<at::Tensor> logits;
      for (auto& engine : engines) logits.push_back(engine->step(tokens));
      CAPTURE(seed, turn, tokens.size());
      for (const at::Tensor& other : logits)
        CHECK(largest_difference(other, logits[0]) <= 2e-6 * logits[0].abs().max().item<double>());
      for (std::int64_t& length : lengths) ++length;
      // Some rows go, some become copies of a row of the same picture; texts that are long leave.
      std::vector<std::int64_t> chosen, new_lengths, new_pictures;
      for (std::size_t row = 0; row < lengths.size(); ++row) {
        if (random.below(5) == 0 || lengths[row] >= 39) continue;
        std::size_t parent = row;
        for (std::size_t other = 0; other < lengths.size(); ++other)
          if (pictures[other] == pictures[row] && lengths[other] == lengths[row] && random.below(3) == 0)
            parent = other;
        chosen.push_back(static_cast<std::int64_t>(parent));
        new_lengths.push_back(lengths[parent]);
        new_pictures.push_back(pictures[parent]);
      }
      for (auto& engine : engines) engine->select(chosen);
      lengths = new_lengths;
      pictures = new_pictures;
    }
  }
}

TEST_CASE("what an engine cannot do is refused", "[generate][engine]") {
  const auto model = random_decoder(odd_config());
  CHECK_THROWS_AS(make_engine(*model, {.max_tokens = 16, .dtype = "float16"}), UnsupportedError);
  CHECK_THROWS_WITH(make_engine(*model, {.max_tokens = 41}), ContainsSubstring("n_positions is 40"));
}
