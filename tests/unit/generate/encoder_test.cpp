// The encoder on tiles against the model's own operations, for every family.
#include "capstan/generate/encoder.h"

#include <cstdlib>

#include "capstan/core/error.h"
#include "generate/kernels/cpu.h"
#include "support/test_pch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

VisionEncoderDecoderConfig tiled_config(const std::string& family) {
  VisionEncoderDecoderConfig config = tiny_model_config();
  config.encoder.model_type = family;
  config.encoder.hidden_size = 64;
  config.encoder.num_attention_heads = 2;
  config.encoder.intermediate_size = 96;
  config.encoder.image_size = 48;  // 36 patches: more than a block of keys, and not a multiple of one
  config.encoder.patch_size = 8;
  return config;
}

at::Tensor pictures(std::int64_t count, std::int64_t size = 48) { return tiny_pictures(count, size, size); }

double worst(VisionEncoderDecoder& model, const std::string& dtype, std::int64_t count) {
  const c10::InferenceMode no_gradients;
  const at::Tensor pixels = pictures(count), expected = model.encode(pixels);
  const at::Tensor ours = make_encoder(model, dtype)->encode(pixels);
  REQUIRE(ours.sizes() == expected.sizes());
  return largest_difference(ours, expected) / expected.abs().max().item<double>();
}

bool has_tiles() { return kernels::detect_cpu().amx; }

}  // namespace

TEST_CASE("hidden states on tiles are those of the model", "[generate][encoder]") {
  if (!has_tiles()) SKIP("the processor has no AMX, so the model itself encodes");
  for (const char* family : {"vit", "deit", "siglip_vision_model"})
    for (const char* activation : {"gelu", "gelu_pytorch_tanh"})
      for (const int decoder_width : {64, 12}) {  // without and with enc_to_dec_proj
        VisionEncoderDecoderConfig config = tiled_config(family);
        config.encoder.hidden_act = activation;
        config.decoder.n_embd = decoder_width;
        config.decoder.n_head = 2;
        const auto model = tiny_random_model(config);
        for (const std::int64_t count : {1, 3, 9}) {
          CAPTURE(family, activation, decoder_width, count);
          CHECK(worst(*model, "float32", count) <= 1e-5);
          const double rounded = worst(*model, "bfloat16", count);
          CHECK(rounded <= 5e-2);
          CHECK(rounded > 1e-5);
        }
      }
}

TEST_CASE("pieces of a long feed-forward layer add up", "[generate][encoder]") {
  if (!has_tiles()) SKIP("the processor has no AMX, so the model itself encodes");
  VisionEncoderDecoderConfig config = tiled_config("vit");
  config.encoder.intermediate_size = 1600;  // 768 + 768 + 64
  const auto model = tiny_random_model(config);
  CHECK(worst(*model, "float32", 2) <= 1e-5);
  CHECK(worst(*model, "bfloat16", 3) <= 5e-2);
}

TEST_CASE("what tiles do not fit goes through the model", "[generate][encoder]") {
  const auto model = tiny_random_model();  // 16 wide
  const c10::InferenceMode no_gradients;
  CHECK(at::equal(make_encoder(*model, "float32")->encode(tiny_pictures(2)), model->encode(tiny_pictures(2))));
  const auto tiled = tiny_random_model(tiled_config("vit"));
  CHECK_THROWS_AS(make_encoder(*tiled, "float32")->encode(pictures(1, 56)), DataError);
}
