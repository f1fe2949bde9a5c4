// Pictures that join and leave while others are under way.
#include "capstan/generate/generator.h"

#include <fmt/format.h>

#include <map>

#include "capstan/core/error.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

GenerationConfig settings() {
  GenerationConfig options;
  options.max_new_tokens = 10;
  options.decoder_start_token_id = options.pad_token_id = 0;
  options.eos_token_id = 7;
  return options;
}

std::vector<std::vector<std::int64_t>> ids_of(const std::vector<Candidate>& candidates) {
  std::vector<std::vector<std::int64_t>> ids;
  for (const Candidate& candidate : candidates) ids.push_back(candidate.ids);
  return ids;
}

GenerationConfig beams(int count) {
  GenerationConfig options = settings();
  options.num_beams = options.num_return_sequences = count;
  return options;
}

GenerationConfig samples(int count) {
  GenerationConfig options = settings();
  options.do_sample = true;
  options.top_k = 0;
  options.num_return_sequences = count;
  return options;
}

}  // namespace

TEST_CASE("pictures that come one by one have the captions they have together", "[generate][unit]") {
  const auto options = GENERATE(settings(), beams(3), samples(2));
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor pictures = tiny_pictures(config, 7);
  const auto together = generate_candidates(*model, pictures, options);

  EngineOptions engine;
  engine.max_rows = 7;
  Generator generator(*model, options, nullptr, engine);
  REQUIRE(generator.idle());
  REQUIRE(generator.room() == 7 / std::max(options.num_beams, options.num_return_sequences));
  std::map<std::uint64_t, std::vector<Candidate>> found;
  for (std::int64_t next = 0; next < 7 || !generator.idle();) {
    if (next < 7 && generator.room() > 0) {
      const std::uint64_t ticket = 100 + static_cast<std::uint64_t>(next);
      generator.add(pictures.narrow(0, next, 1), std::span(&ticket, 1));
      ++next;
    }
    for (auto& finished : generator.step()) found[finished.ticket] = finished.candidates;
  }
  REQUIRE(found.size() == 7);
  for (std::size_t i = 0; i < 7; ++i) REQUIRE(ids_of(found.at(100 + i)) == ids_of(together[i]));
  REQUIRE(generator.step().empty());
}

TEST_CASE("candidates come best first", "[generate][unit]") {
  const auto options = GENERATE(beams(4), samples(5));
  const auto model = tiny_model(tiny_config());
  for (const auto& candidates : generate_candidates(*model, tiny_pictures(tiny_config(), 3), options)) {
    REQUIRE(candidates.size() == static_cast<std::size_t>(options.num_return_sequences));
    for (std::size_t i = 1; i < candidates.size(); ++i) REQUIRE(candidates[i - 1].score >= candidates[i].score);
  }
}

TEST_CASE("another seed draws other captions and the same seed the same", "[generate][unit]") {
  const auto model = tiny_model(tiny_config());
  const at::Tensor pictures = tiny_pictures(tiny_config(), 2);
  auto options = samples(4);
  const auto first = generate_candidates(*model, pictures, options);
  REQUIRE(ids_of(generate_candidates(*model, pictures, options)[0]) == ids_of(first[0]));
  options.seed = 1;
  REQUIRE(ids_of(generate_candidates(*model, pictures, options)[0]) != ids_of(first[0]));
}

TEST_CASE("the rows of one picture always fit", "[generate][unit]") {
  const auto model = tiny_model(tiny_config());
  EngineOptions engine;
  engine.max_rows = 1;
  REQUIRE(Generator(*model, beams(5), nullptr, engine).room() == 1);
}

TEST_CASE("a sum of log-probabilities is the score of a greedy caption", "[generate][unit]") {
  const c10::InferenceMode no_gradients;
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor picture = tiny_pictures(config, 1);
  auto options = settings();
  options.eos_token_id = 1'000'000;
  const Candidate caption = generate_candidates(*model, picture, options)[0][0];
  std::vector<std::int64_t> text{0};
  text.insert(text.end(), caption.ids.begin(), caption.ids.end());
  const at::Tensor logits = model->decode(at::tensor(text, at::kLong).unsqueeze(0), model->encode(picture));
  const at::Tensor steps = logits[0].to(at::kDouble).log_softmax(-1);
  double expected = 0;
  for (std::size_t i = 0; i < caption.ids.size(); ++i)
    expected += steps[static_cast<std::int64_t>(i)][caption.ids[i]].item<double>();
  REQUIRE(std::abs(caption.score - expected) < 1e-4);
}

TEST_CASE("options that do not fit the model are refused before anything is drawn", "[generate][unit]") {
  const auto model = tiny_model(tiny_config());
  const auto refuse = [&](const GenerationConfig& options, const std::string& text) {
    REQUIRE_THROWS_AS(Generator(*model, options, nullptr), ConfigError);
    REQUIRE_THROWS_WITH(Generator(*model, options, nullptr), ContainsSubstring(text));
  };
  auto options = settings();
  options.num_return_sequences = 2;
  refuse(options, "num_return_sequences is 2");
  options = settings();
  options.stop_strings = {"."};
  refuse(options, "stop_strings needs the model's tokenizer");
  options = settings();
  options.suppress_tokens = {3, 258};
  refuse(options, "suppress_tokens has 258, expected an id of the 258 of the model");
  options = settings();
  options.forced_bos_token_id = 300;
  refuse(options, "forced_bos_token_id has 300");
  options = settings();
  options.bad_words_ids = {{1, 400}};
  refuse(options, "bad_words_ids has 400");
}

TEST_CASE("a model whose numbers are broken still gives captions that end", "[generate][unit]") {
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  {
    const c10::InferenceMode no_gradients;
    for (at::Tensor& parameter : model->parameters()) parameter.fill_(std::numeric_limits<float>::quiet_NaN());
  }
  for (const auto& options : {settings(), beams(3), samples(2)})
    for (const auto& candidates : generate_candidates(*model, tiny_pictures(config, 2), options))
      for (const auto& candidate : candidates) REQUIRE(candidate.ids.size() <= 10);
}
