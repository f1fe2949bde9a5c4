// What every family of vision encoders promises, and how they differ.
#include <ATen/ATen.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/models/pretrained.h"
#include "support/catch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

using nlohmann::json;

const std::vector<std::string> kFamilies{"vit", "deit", "siglip_vision_model"};

VisionEncoderDecoderConfig family_config(const std::string& family) {
  auto config = tiny_model_config();
  config.encoder.model_type = family;
  if (family == "siglip_vision_model") config.encoder.hidden_act = "gelu_pytorch_tanh";
  return config;
}

std::string problems_of(const std::function<void(VisionEncoderDecoderConfig&)>& edit) {
  auto config = tiny_model_config();
  edit(config);
  try {
    VisionEncoderDecoder model(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("each family has its tokens before the patches", "[models][vision]") {
  const at::NoGradGuard no_grad;
  // 2 x 2 patches behind a class token, a class and a distillation token, or nothing.
  for (const auto& [family, tokens] : {std::pair{"vit", 5}, {"deit", 6}, {"siglip_vision_model", 4}}) {
    const auto model = tiny_random_model(family_config(family));
    CHECK(model->encode(tiny_pictures(2)).sizes() == at::IntArrayRef({2, tokens, 12}));
    CHECK(model->encoder().num_tokens() == tokens);
  }
}

TEST_CASE("every family comes back from its folder bit for bit", "[models][vision]") {
  for (const std::string& family : kFamilies) {
    const TempDir folder;
    const auto model = tiny_random_model(family_config(family));
    model->set_drop_path_rate(0.5, 0.5);  // how it is trained is no business of the folder
    save_pretrained(*model, folder.path());
    const json config = read_json(folder.path() / "config.json");
    CHECK(config["encoder"]["model_type"] == family);
    for (const char* key : {"drop_path_rate", "attn_implementation", "interpolate_pos_encoding"})
      for (const char* part : {"encoder", "decoder"}) CHECK_FALSE(config[part].contains(key));
    const auto back = load_pretrained(folder.path());
    CHECK(back->config().encoder.model_type == family);
    CHECK(back->config().encoder.hidden_act == model->config().encoder.hidden_act);
    CHECK(back->config().encoder.drop_path_rate == 0);
    const TensorMap before = model->state(), after = back->state();
    REQUIRE(before.size() == after.size());
    for (const auto& [name, tensor] : before) CHECK(at::equal(tensor, after.at(name)));
  }
}

TEST_CASE("a head that is in no file is carried as zeros", "[models][vision]") {
  for (const std::string& family : kFamilies) {
    const TempDir folder;
    const auto model = tiny_random_model(family_config(family));
    save_pretrained(*model, folder.path());
    TensorMap weights = model->state();
    const auto is_head = [](const auto& item) {
      return item.first.find(".pooler.") != std::string::npos || item.first.find(".head.") != std::string::npos;
    };
    CHECK(std::erase_if(weights, is_head) == (family == "siglip_vision_model" ? 11 : 2));
    write_safetensors(folder.path() / "model.safetensors", weights);
    const auto back = load_pretrained(folder.path());
    CHECK(back->state().size() == model->state().size());
    for (const auto& item : back->state())
      if (is_head(item)) CHECK(item.second.eq(0).all().item<bool>());
  }
}

TEST_CASE("SigLIP without a head has none", "[models][vision]") {
  auto config = family_config("siglip_vision_model");
  config.encoder.vision_use_head = false;
  const TempDir folder;
  save_pretrained(*tiny_random_model(config), folder.path());
  const auto back = load_pretrained(folder.path());
  CHECK_FALSE(back->config().encoder.vision_use_head);
  for (const auto& [name, tensor] : back->state()) CHECK(name.find(".head.") == std::string::npos);
}

TEST_CASE("SigLIP files of transformers 5 leave the tower's name out", "[models][vision]") {
  const auto model = tiny_random_model(family_config("siglip_vision_model"));
  TensorMap renamed;
  for (const auto& [name, tensor] : model->state()) {
    std::string key = name;
    if (const auto at = key.find("vision_model."); at != std::string::npos) key.erase(at, 13);
    renamed[key] = tensor.clone();
  }
  CHECK(renamed.contains("encoder.encoder.layers.0.self_attn.q_proj.weight"));
  const auto other = tiny_random_model(family_config("siglip_vision_model"), 9);
  other->load_state(renamed);
  for (const auto& [name, tensor] : model->state()) CHECK(at::equal(tensor, other->state().at(name)));
}

TEST_CASE("pictures of other sizes are taken where the position table is interpolated", "[models][vision]") {
  const at::NoGradGuard no_grad;
  for (const std::string& family : kFamilies) {
    auto config = family_config(family);
    const auto model = tiny_random_model(config);
    const std::int64_t tokens = model->encoder().num_tokens() - 4;
    CHECK_THROWS_WITH(model->encode(tiny_pictures(1, 24, 32)), ContainsSubstring("expected [batch, 3, 16, 16]"));
    const at::Tensor wide = model->encode(tiny_pictures(1, 24, 35), true);  // the last 3 columns are not seen
    CHECK(wide.size(1) == tokens + 3 * 4);
    CHECK(at::equal(wide, model->encode(tiny_pictures(1, 24, 35).narrow(3, 0, 32), true)));
    CHECK_THROWS_WITH(model->encode(tiny_pictures(1, 7, 32), true), ContainsSubstring("of 8 pixels or more"));
    CHECK(at::equal(model->encode(tiny_pictures(2), true), model->encode(tiny_pictures(2))));

    config.encoder.interpolate_pos_encoding = true;
    CHECK(at::equal(tiny_random_model(config)->encode(tiny_pictures(1, 24, 35)), wide));
  }
}

TEST_CASE("a model made for another picture size is the interpolated one", "[models][vision]") {
  const at::NoGradGuard no_grad;
  for (const std::string& family : kFamilies) {
    const auto model = tiny_random_model(family_config(family));
    const at::Tensor pictures = tiny_pictures(2, 40, 40);
    const at::Tensor expected = model->encode(pictures, true);
    model->set_image_size(40);
    CHECK(at::equal(model->encode(pictures), expected));
    CHECK(model->config().encoder.image_size == 40);
    CHECK(model->encoder().config().image_size == 40);
    CHECK(model->encoder().num_tokens() == expected.size(1));
    const TempDir folder;
    save_pretrained(*model, folder.path());
    CHECK(at::equal(load_pretrained(folder.path())->encode(pictures), expected));
    CHECK_THROWS_AS(model->set_image_size(7), ConfigError);
    CHECK_THROWS_WITH(model->set_image_size(7), ContainsSubstring("image_size 7 is smaller than a patch of 8 pixels"));
  }
}

TEST_CASE("pixels that fill no patch are not seen", "[models][vision]") {
  const at::NoGradGuard no_grad;
  auto config = tiny_model_config();
  config.encoder.image_size = 20;
  const auto model = tiny_random_model(config);
  const at::Tensor pictures = tiny_pictures(1, 20, 20);
  at::Tensor other = pictures.clone();
  other.narrow(3, 16, 4).zero_();
  CHECK(model->encode(pictures).size(1) == 5);
  CHECK(at::equal(model->encode(pictures), model->encode(other)));
}

TEST_CASE("a configuration that fits no family is refused with what would", "[models][vision]") {
  CHECK_THAT(problems_of([](auto& config) { config.encoder.model_type = "diet"; }),
             ContainsSubstring("model_type 'diet' is no vision encoder; known: deit, siglip_vision_model, vit.") &&
                 ContainsSubstring("deit'"));
  CHECK_THAT(problems_of([](auto& config) {
               config.encoder.model_type = "siglip_vision_model";
               config.encoder.qkv_bias = false;
               config.encoder.hidden_dropout_prob = 0.1;
             }),
             ContainsSubstring("qkv_bias is false, but SigLIP always has") &&
                 ContainsSubstring("hidden_dropout_prob is not 0"));
  CHECK_THAT(problems_of([](auto& config) { config.encoder.vision_use_head = false; }),
             ContainsSubstring("vision_use_head is false"));
  CHECK(problems_of([](auto&) {}) == "no error");
}
