// Searches against the plainest loop there is: the whole text through the model for every token.
#include "capstan/generate/decode.h"

#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

using Ids = std::vector<std::int64_t>;

Ids plain_greedy(VisionEncoderDecoder& model, const at::Tensor& picture_1CHW, int max_new_tokens, std::int64_t start,
                 std::int64_t end) {
  const c10::InferenceMode no_gradients;
  const at::Tensor hidden = model.encode(picture_1CHW);
  Ids text{start};
  for (int step = 0; step < max_new_tokens; ++step) {
    const at::Tensor logits = model.decode(at::tensor(text, at::kLong).unsqueeze(0), hidden);
    const auto next = logits.select(1, -1).argmax(-1).item<std::int64_t>();
    if (next == end) break;
    text.push_back(next);
  }
  return Ids(text.begin() + 1, text.end());
}

GenerationConfig options_of(const VisionEncoderDecoderConfig& config, int max_new_tokens, std::int64_t end) {
  return {.max_new_tokens = max_new_tokens,
          .decoder_start_token_id = config.decoder_start_token_id,
          .eos_token_id = end,
          .pad_token_id = config.pad_token_id};
}

constexpr std::int64_t kNeverDrawn = 1'000'000;

}  // namespace

TEST_CASE("greedy search with a cache draws what the plain loop draws", "[generate][unit]") {
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor pictures = tiny_pictures(config, 4);
  const auto captions = generate(*model, pictures, options_of(config, 15, kNeverDrawn));
  REQUIRE(captions.size() == 4);
  for (std::int64_t row = 0; row < 4; ++row) {
    CAPTURE(row);
    REQUIRE(captions[static_cast<std::size_t>(row)] ==
            plain_greedy(*model, pictures.narrow(0, row, 1), 15, config.decoder_start_token_id, kNeverDrawn));
    REQUIRE(captions[static_cast<std::size_t>(row)].size() == 15);
  }
  REQUIRE(captions[0] != captions[1]);
}

TEST_CASE("a row of a batch is what its picture gives alone", "[generate][unit]") {
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor pictures = tiny_pictures(config, 3);
  const auto options = options_of(config, 10, kNeverDrawn);
  const auto together = generate(*model, pictures, options);
  for (std::int64_t row = 0; row < 3; ++row)
    REQUIRE(generate(*model, pictures.narrow(0, row, 1), options)[0] == together[static_cast<std::size_t>(row)]);
}

TEST_CASE("rows stop at their own end token and do not carry it", "[generate][unit]") {
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor pictures = tiny_pictures(config, 6);
  const auto endless = generate(*model, pictures, options_of(config, 12, kNeverDrawn));
  const std::int64_t end = endless[0][4];
  const auto captions = generate(*model, pictures, options_of(config, 12, end));
  bool some_longer = false;
  for (std::size_t row = 0; row < captions.size(); ++row) {
    const auto cut = std::find(endless[row].begin(), endless[row].end(), end);
    REQUIRE(captions[row] == Ids(endless[row].begin(), cut));
    some_longer = some_longer || captions[row].size() > captions[0].size();
  }
  REQUIRE(captions[0].size() <= 4);
  REQUIRE(some_longer);
}

TEST_CASE("a caption is never longer than the model has positions", "[generate][unit]") {
  const auto config = tiny_config();
  const auto model = tiny_model(config);
  const at::Tensor picture = tiny_pictures(config, 1);
  const auto captions = generate(*model, picture, options_of(config, 500, kNeverDrawn));
  REQUIRE(captions[0].size() == static_cast<std::size_t>(config.decoder.n_positions));
  REQUIRE(captions[0] == plain_greedy(*model, picture, config.decoder.n_positions, 0, kNeverDrawn));
}

TEST_CASE("dropout is off while captions are drawn and the model's mode is kept", "[generate][unit]") {
  auto config = tiny_config();
  config.decoder.resid_pdrop = config.decoder.embd_pdrop = 0.9;
  const auto model = tiny_model(config);
  const at::Tensor pictures = tiny_pictures(config, 2);
  const auto options = options_of(config, 8, kNeverDrawn);
  const auto expected = generate(*model, pictures, options);
  REQUIRE_FALSE(model->is_training());
  model->train();
  REQUIRE(generate(*model, pictures, options) == expected);
  REQUIRE(model->is_training());
}

TEST_CASE("no pictures give no captions", "[generate][unit]") {
  const auto config = tiny_config();
  REQUIRE(generate(*tiny_model(config), tiny_pictures(config, 0), options_of(config, 8, 0)).empty());
}
