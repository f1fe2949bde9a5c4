// How a model is trained and run: recomputation, stochastic depth, attention kernels; and GPT-2's own options.
#include <ATen/ATen.h>

#include <functional>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/models/pretrained.h"
#include "support/catch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

// Every gradient of one training step; dropout and stochastic depth follow the seed.
TensorMap gradients(VisionEncoderDecoder& model) {
  at::manual_seed(3);
  model.train();
  model.zero_grad();
  model.decode(tiny_ids(4, 6), model.encode(tiny_pictures(4))).pow(2).mean().backward();
  TensorMap result;
  for (const auto& item : model.named_parameters()) result[item.key()] = item.value().grad().clone();
  model.eval();
  return result;
}

at::Tensor logits(VisionEncoderDecoder& model) {
  const at::NoGradGuard no_grad;
  return model.decode(tiny_ids(2, 6), model.encode(tiny_pictures(2)));
}

VisionEncoderDecoderConfig config_with(const std::function<void(Gpt2Config&)>& edit) {
  auto config = tiny_model_config();
  edit(config.decoder);
  return config;
}

}  // namespace

TEST_CASE("recomputing blocks changes no gradient by a bit", "[models][recompute]") {
  for (const char* family : {"vit", "deit", "siglip_vision_model"}) {
    auto config = tiny_model_config();
    config.encoder.model_type = family;
    config.encoder.attention_probs_dropout_prob = 0.1;
    const auto model = tiny_random_model(config);
    model->set_drop_path_rate(0.4, 0.4);
    const TensorMap kept = gradients(*model);
    model->set_gradient_checkpointing(true);
    const TensorMap recomputed = gradients(*model);
    for (const auto& [name, gradient] : kept) {
      INFO(name);
      CHECK(at::equal(gradient, recomputed.at(name)));
    }
    CHECK(kept.at("enc_to_dec_proj.weight").abs().max().item<double>() > 0);
  }
}

TEST_CASE("stochastic depth acts in training only, more for later blocks", "[models][drop_path]") {
  const at::NoGradGuard no_grad;
  auto config = tiny_model_config();
  config.encoder.drop_path_rate = config.decoder.drop_path_rate = 0.9;
  const auto model = tiny_random_model(config), plain = tiny_random_model();
  CHECK(at::equal(logits(*model), logits(*plain)));
  model->train();
  plain->train();
  const at::Tensor pictures = tiny_pictures(64);
  at::manual_seed(1);
  const at::Tensor dropped = model->encode(pictures), full = plain->encode(pictures);
  // The first of two blocks has rate 0; of the last, nine in ten samples lose a branch.
  const at::Tensor differs = (dropped - full).abs().amax({1, 2}).gt(1e-4);
  CHECK(differs.sum().item<int>() == 64);  // kept branches are divided by 0.1
  model->set_drop_path_rate(0, 0);
  CHECK(at::equal(model->encode(pictures), full));
}

TEST_CASE("fused and written-out attention agree through the whole model", "[models][attention]") {
  const auto model = tiny_random_model();
  const at::Tensor fused = logits(*model);
  const TensorMap fused_gradients = [&] {
    auto config = tiny_model_config();
    config.decoder.attn_pdrop = config.decoder.resid_pdrop = config.decoder.embd_pdrop = 0;
    return gradients(*tiny_random_model(config));
  }();
  model->set_attn_implementation("eager");
  CHECK(largest_difference(logits(*model), fused) < 1e-5);
  CHECK(model->config().encoder.attn_implementation == "eager");

  auto config = tiny_model_config();
  config.decoder.attn_pdrop = config.decoder.resid_pdrop = config.decoder.embd_pdrop = 0;
  config.encoder.attn_implementation = config.decoder.attn_implementation = "eager";
  for (const auto& [name, gradient] : gradients(*tiny_random_model(config))) {
    INFO(name);
    CHECK(largest_difference(gradient, fused_gradients.at(name)) < 1e-4);
  }
  CHECK_THROWS_WITH(model->set_attn_implementation("fast"), ContainsSubstring("attn_implementation is 'fast'"));
}

TEST_CASE("GPT-2's attention options change the scores as they say", "[models][gpt2]") {
  const at::Tensor standard = logits(*tiny_random_model());
  const auto difference = [&](const std::function<void(Gpt2Config&)>& edit) {
    return largest_difference(logits(*tiny_random_model(config_with(edit))), standard);
  };
  CHECK(difference([](Gpt2Config& config) { config.scale_attn_weights = false; }) > 1e-3);
  CHECK(difference([](Gpt2Config& config) { config.scale_attn_by_inverse_layer_idx = true; }) > 1e-3);
  CHECK(difference([](Gpt2Config& config) { config.reorder_and_upcast_attn = true; }) < 1e-5);
  // Both kernels know the scales.
  const auto unscaled = tiny_random_model(config_with([](Gpt2Config& config) {
    config.scale_attn_weights = false;
    config.scale_attn_by_inverse_layer_idx = true;
  }));
  const at::Tensor fused = logits(*unscaled);
  unscaled->set_attn_implementation("eager");
  CHECK(largest_difference(logits(*unscaled), fused) < 1e-5);
}

TEST_CASE("the options of GPT-2's attention are kept in its folder", "[models][gpt2]") {
  const TempDir folder;
  const auto model = tiny_random_model(config_with([](Gpt2Config& config) {
    config.scale_attn_weights = false;
    config.scale_attn_by_inverse_layer_idx = config.reorder_and_upcast_attn = true;
    config.activation_function = "tanh";
  }));
  save_pretrained(*model, folder.path());
  const Gpt2Config back = read_model_config(folder.path()).decoder;
  CHECK_FALSE(back.scale_attn_weights);
  CHECK(back.scale_attn_by_inverse_layer_idx);
  CHECK(back.reorder_and_upcast_attn);
  CHECK(back.activation_function == "tanh");
}

TEST_CASE("a decoder without cross-attention works alone", "[models][gpt2]") {
  const at::NoGradGuard no_grad;
  auto config = tiny_model_config().decoder;
  config.add_cross_attention = false;
  Gpt2 model(config);
  for (const auto& item : model.named_parameters()) {
    CHECK(item.key().find("cross") == std::string::npos);
    init_normal(item.value(), 0.3, 1, item.key());
  }
  model.eval();
  const at::Tensor ids = tiny_ids(2, 7), whole = model.forward(ids, at::Tensor());
  Gpt2Cache cache;
  cache.capacity = 7;
  const at::Tensor first = model.forward(ids.narrow(1, 0, 4), at::Tensor(), &cache);
  const at::Tensor second = model.forward(ids.narrow(1, 4, 3), at::Tensor(), &cache);
  CHECK(largest_difference(at::cat({first, second}, 1), whole) < 1e-5);

  const TempDir folder;
  save_gpt2(model, folder.path() / "new/folder");
  const auto back = load_gpt2(folder.path() / "new/folder");
  back->eval();
  CHECK(at::equal(back->forward(ids, at::Tensor()), whole));
  CHECK_FALSE(back->config().add_cross_attention);
}

TEST_CASE("a decoder with cross-attention and no picture leaves it out", "[models][gpt2]") {
  const at::NoGradGuard no_grad;
  const auto model = tiny_random_model();
  auto config = tiny_model_config().decoder;
  config.add_cross_attention = false;
  Gpt2 alone(config);
  alone.eval();
  const TensorMap state = model->state();
  for (const auto& item : alone.named_parameters()) item.value().copy_(state.at("decoder." + item.key()));
  CHECK(at::equal(model->decoder().forward(tiny_ids(2, 5), at::Tensor()), alone.forward(tiny_ids(2, 5), at::Tensor())));
}

TEST_CASE("a decoder's folder that does not fit is refused by names", "[models][gpt2]") {
  const TempDir folder;
  auto config = tiny_model_config().decoder;
  config.add_cross_attention = false;
  const Gpt2 model(config);
  save_gpt2(model, folder.path());
  const fs::path file = folder.path() / "model.safetensors";
  TensorMap weights = read_pretrained_tensors(folder.path());
  for (auto& [name, tensor] : weights) tensor = tensor.clone();
  const auto complaint = [&](const TensorMap& changed) {
    write_safetensors(file, changed);
    try {
      load_gpt2(folder.path());
    } catch (const CheckpointError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  TensorMap changed = weights;
  changed.erase("transformer.ln_f.bias");
  changed["transformer.wpe.weight"] = at::zeros({3, 12});
  changed["transformer.extra"] = at::zeros({1});
  CHECK_THAT(complaint(changed), ContainsSubstring("transformer.ln_f.bias is missing") &&
                                     ContainsSubstring("transformer.wpe.weight has another shape") &&
                                     ContainsSubstring("transformer.extra has no use"));
  changed = weights;
  changed["lm_head.weight"] = weights.at("transformer.wte.weight").clone();
  changed["transformer.h.0.attn.bias"] = at::ones({1});
  CHECK(complaint(changed) == "no error");
  changed["lm_head.weight"] += 1;
  CHECK_THAT(complaint(changed), ContainsSubstring("lm_head.weight and the token embedding differ"));
}
