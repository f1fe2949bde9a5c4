// What must hold for any weights: batches, padding and the cache change nothing.
#include "capstan/models/vision_encoder_decoder.h"

#include <ATen/ATen.h>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

TEST_CASE("texts of one picture may share its hidden states", "[models][gpt2]") {
  const auto model = tiny_random_model();
  const c10::InferenceMode no_gradients;
  const at::Tensor hidden_PSD = model->encode(tiny_pictures(2));
  const at::Tensor ids_BT = tiny_ids(6, 5);
  const at::Tensor shared = model->decode(ids_BT, hidden_PSD);
  const at::Tensor copied = model->decode(ids_BT, hidden_PSD.repeat_interleave(3, 0));
  CHECK(shared.sizes().vec() == std::vector<std::int64_t>{6, 5, 40});
  CHECK(largest_difference(shared, copied) < 1e-6 * copied.abs().max().item<double>());
  for (const char* kernel : {"sdpa", "eager"}) {
    model->set_attn_implementation(kernel);
    CHECK(largest_difference(model->decode(ids_BT, hidden_PSD), copied) < 1e-6 * copied.abs().max().item<double>());
  }
}

TEST_CASE("a batch of one equals its row of a batch", "[models][vision_encoder_decoder]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  const at::Tensor pictures = tiny_pictures(3), ids = tiny_ids(3, 6);
  const at::Tensor all = model->decode(ids, model->encode(pictures));
  CHECK(all.sizes() == at::IntArrayRef({3, 6, 40}));
  for (std::int64_t row = 0; row < 3; ++row) {
    const at::Tensor one = model->decode(ids.narrow(0, row, 1), model->encode(pictures.narrow(0, row, 1)));
    CHECK(largest_difference(one, all.narrow(0, row, 1)) < 1e-5);
  }
  CHECK(largest_difference(all[0], all[1]) > 1e-2);
}

TEST_CASE("padding behind a text does not change what stands before it", "[models][vision_encoder_decoder]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  const at::Tensor hidden = model->encode(tiny_pictures(2));
  const at::Tensor ids = tiny_ids(2, 5);
  const at::Tensor padded = at::cat({ids, at::full({2, 4}, 2, at::kLong)}, 1);
  CHECK(largest_difference(model->decode(padded, hidden).narrow(1, 0, 5), model->decode(ids, hidden)) < 1e-5);
}

TEST_CASE("stepping through the cache equals one forward pass", "[models][gpt2]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  const at::Tensor hidden = model->encode(tiny_pictures(2)), ids = tiny_ids(2, 9);
  const at::Tensor whole = model->decode(ids, hidden);
  for (const std::vector<std::int64_t>& steps : {std::vector<std::int64_t>(9, 1), {4, 1, 1, 3}, {9}, {1, 8}}) {
    Gpt2Cache cache;
    cache.capacity = 9;
    std::vector<at::Tensor> parts;
    for (const std::int64_t count : steps)
      parts.push_back(model->decode(ids.narrow(1, cache.length, count), parts.empty() ? hidden : at::Tensor(), &cache));
    CHECK(cache.length == 9);
    CHECK(largest_difference(at::cat(parts, 1), whole) < 1e-5);
  }
}

TEST_CASE("the cache is allocated once and its cross-attention is computed once", "[models][gpt2]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  const at::Tensor hidden = model->encode(tiny_pictures(2)), ids = tiny_ids(2, 4);
  Gpt2Cache cache;
  cache.capacity = 6;
  model->decode(ids.narrow(1, 0, 2), hidden, &cache);
  const void* keys = cache.keys[1].data_ptr();
  const void* cross = cache.cross_values[0].data_ptr();
  CHECK(cache.keys[1].sizes() == at::IntArrayRef({2, 3, 6, 4}));
  CHECK(cache.cross_keys[0].sizes() == at::IntArrayRef({2, 3, 5, 4}));
  model->decode(ids.narrow(1, 2, 2), at::Tensor(), &cache);
  CHECK(cache.keys[1].data_ptr() == keys);
  CHECK(cache.cross_values[0].data_ptr() == cross);
}

TEST_CASE("dropout acts in training only and follows the seed", "[models][vision_encoder_decoder]") {
  const at::NoGradGuard no_grad;
  auto config = tiny_model_config();
  config.encoder.hidden_dropout_prob = config.encoder.attention_probs_dropout_prob = 0.2;
  const auto model = tiny_random_model(config);
  const auto run = [&](std::uint64_t seed) {
    at::manual_seed(seed);
    return model->decode(tiny_ids(1, 4), model->encode(tiny_pictures(1)));
  };
  CHECK(at::equal(run(1), run(2)));
  model->train();
  CHECK(at::equal(run(1), run(1)));
  CHECK_FALSE(at::equal(run(1), run(2)));
}

TEST_CASE("every parameter receives a gradient", "[models][vision_encoder_decoder]") {
  for (const bool tied : {true, false}) {
    auto config = tiny_model_config();
    config.decoder.tie_word_embeddings = tied;
    const auto model = tiny_random_model(config);
    model->decode(tiny_ids(2, 6), model->encode(tiny_pictures(2))).pow(2).sum().backward();
    for (const auto& item : model->named_parameters()) {
      INFO(item.key());
      REQUIRE(item.value().grad().defined());
      // A key bias shifts every score of a query alike, so its gradient is zero up to rounding.
      if (!item.key().ends_with("key.bias")) CHECK(item.value().grad().abs().max().item<double>() > 1e-4);
    }
  }
}

TEST_CASE("labels become inputs shifted right by the start token", "[models][vision_encoder_decoder]") {
  const at::Tensor labels = at::tensor({5, 6, 7, -100, -100, 8, -100, -100}, at::kLong).view({2, 4});
  // transformers.models.vision_encoder_decoder: shift_tokens_right(labels, 1, 9)
  const at::Tensor expected = at::tensor({9, 5, 6, 7, 9, 1, 8, 1}, at::kLong).view({2, 4});
  CHECK(at::equal(shift_tokens_right(labels, 1, 9), expected));
}

TEST_CASE("fresh models depend on their seed only", "[models][vision_encoder_decoder]") {
  at::manual_seed(1);
  const TensorMap first = create_model(tiny_model_config(), 4)->state();
  at::manual_seed(2);
  const TensorMap again = create_model(tiny_model_config(), 4)->state();
  const TensorMap other = create_model(tiny_model_config(), 5)->state();
  for (const auto& [name, tensor] : first) {
    INFO(name);
    CHECK(at::equal(tensor, again.at(name)));
    if (tensor.dim() > 1) CHECK_FALSE(at::equal(tensor, other.at(name)));
  }
}

TEST_CASE("inputs that do not fit are refused with the sizes", "[models][vision_encoder_decoder]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  CHECK_THROWS_AS(model->encode(at::zeros({1, 3, 16, 24})), DataError);
  CHECK_THROWS_WITH(model->encode(at::zeros({1, 3, 16, 24})),
                    ContainsSubstring("shape [1, 3, 16, 24]") && ContainsSubstring("expected [batch, 3, 16, 16]"));
  const at::Tensor hidden = model->encode(tiny_pictures(1));
  CHECK_THROWS_WITH(model->decode(tiny_ids(1, 13), hidden),
                    ContainsSubstring("a text of 13 tokens does not fit the model, whose n_positions is 12"));
}

TEST_CASE("a model that cannot be built says everything that is wrong", "[models][vision_encoder_decoder]") {
  auto config = tiny_model_config();
  config.encoder.num_attention_heads = 3;
  config.encoder.patch_size = 17;
  config.decoder.n_head = 5;
  config.pad_token_id = 40;
  CHECK_THROWS_WITH(VisionEncoderDecoder(config), ContainsSubstring("hidden_size 16 is not a multiple") &&
                                                      ContainsSubstring("image_size 16 is smaller than") &&
                                                      ContainsSubstring("n_embd 12 is not a multiple") &&
                                                      ContainsSubstring("pad_token_id 40 is not in the vocabulary"));
}
