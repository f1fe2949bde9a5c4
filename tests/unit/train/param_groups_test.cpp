#include "capstan/train/param_groups.h"

#include <map>
#include <set>

#include "capstan/core/error.h"
#include "support/tiny_training.h"

using namespace capstan;

namespace {

std::map<std::string, NamedParameter> by_name(const VisionEncoderDecoder& model, const TrainerConfig& config) {
  std::map<std::string, NamedParameter> found;
  for (const NamedParameter& parameter : trainable_parameters(model, config)) found[parameter.name] = parameter;
  return found;
}

}  // namespace

TEST_CASE("biases and normalisation layers are left out of weight decay", "[train][param_groups]") {
  TrainerConfig decaying;
  decaying.weight_decay = 0.1;
  const VisionEncoderDecoder model(testing::tiny_model_config());
  std::set<std::string> with, without;
  for (const auto& parameter : trainable_parameters(model, decaying))
    (parameter.weight_decay > 0 ? with : without).insert(parameter.name);
  CHECK(with.contains("decoder.transformer.wte.weight"));
  CHECK(with.contains("encoder.embeddings.cls_token"));
  CHECK(with.contains("decoder.transformer.h.0.crossattention.q_attn.weight"));
  CHECK(without.contains("decoder.transformer.h.0.ln_1.weight"));
  CHECK(without.contains("decoder.transformer.h.0.ln_cross_attn.weight"));
  CHECK(without.contains("decoder.transformer.ln_f.weight"));
  CHECK(without.contains("encoder.encoder.layer.0.layernorm_before.weight"));
  CHECK(without.contains("encoder.layernorm.weight"));
  CHECK(without.contains("decoder.transformer.h.0.mlp.c_fc.bias"));

  auto config = testing::tiny_model_config();
  config.encoder.model_type = "siglip_vision_model";
  const VisionEncoderDecoder siglip(config);
  for (const auto& parameter : trainable_parameters(siglip, decaying)) {
    INFO(parameter.name);
    if (parameter.name.find("norm") != std::string::npos) CHECK(parameter.weight_decay == 0);
  }
}

TEST_CASE("the first group that names a parameter decides its rate and decay", "[train][param_groups]") {
  TrainerConfig config;
  config.learning_rate = 1e-3;
  config.weight_decay = 0.1;
  config.param_groups = {
      {.params = {"encoder"}, .learning_rate = 1e-4, .weight_decay = std::nullopt},
      {.params = {"*.bias", "decoder.transformer.h.0.mlp"}, .learning_rate = {}, .weight_decay = 0.3}};
  const VisionEncoderDecoder model(testing::tiny_model_config());
  const auto found = by_name(model, config);
  const NamedParameter& encoder = found.at("encoder.encoder.layer.0.output.dense.weight");
  CHECK(encoder.lr_scale == Approx(0.1));
  CHECK(encoder.weight_decay == 0.1);
  CHECK(found.at("encoder.encoder.layer.0.output.dense.bias").weight_decay == 0);
  CHECK(found.at("decoder.transformer.h.0.attn.c_attn.bias").weight_decay == 0.3);
  CHECK(found.at("decoder.transformer.h.0.mlp.c_fc.weight").weight_decay == 0.3);
  CHECK(found.at("decoder.transformer.h.0.mlp.c_fc.weight").lr_scale == 1);
  CHECK(found.at("decoder.transformer.h.0.attn.c_attn.weight").weight_decay == 0.1);

  config.param_groups[0].params = {"encodre"};
  CHECK_THROWS_WITH(trainable_parameters(model, config),
                    ContainsSubstring("'encodre' matches no parameter") && ContainsSubstring("Did you mean"));
}

TEST_CASE("layer-wise decay lowers the rate block by block", "[train][param_groups]") {
  auto shape = testing::tiny_model_config();
  shape.encoder.num_hidden_layers = 3;
  shape.decoder.n_layer = 2;
  TrainerConfig config;
  config.layer_wise_lr_decay = 0.5;
  const VisionEncoderDecoder model(shape);
  const auto found = by_name(model, config);
  const auto scale = [&](const std::string& name) { return found.at(name).lr_scale; };
  CHECK(scale("encoder.encoder.layer.2.output.dense.weight") == 0.5);
  CHECK(scale("encoder.encoder.layer.0.output.dense.weight") == 0.125);
  CHECK(scale("encoder.embeddings.cls_token") == 0.0625);
  CHECK(scale("encoder.layernorm.weight") == 1);
  CHECK(scale("decoder.transformer.h.1.ln_1.weight") == 0.5);
  CHECK(scale("decoder.transformer.h.0.ln_1.weight") == 0.25);
  CHECK(scale("decoder.transformer.wpe.weight") == 0.125);
  CHECK(scale("decoder.transformer.wte.weight") == 1);  // it is the head too
  CHECK(scale("decoder.transformer.ln_f.weight") == 1);
}
