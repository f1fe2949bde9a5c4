// Model folders: what is written is read back bit for bit, what does not fit is refused by name.
#include "capstan/models/pretrained.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/models/inspect.h"
#include "capstan/models/registry.h"
#include "support/catch.h"
#include "support/torch_archive.h"
#include "unit/models/tiny_model.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

using nlohmann::json;

// The complaint about a saved tiny model after its config.json or weights were changed.
std::string complaint(
    const std::function<void(json&)>& edit_config,
    const std::function<void(TensorMap&)>& edit_weights = [](TensorMap&) {}) {
  const TempDir folder;
  const auto model = tiny_random_model();
  save_pretrained(*model, folder.path());
  json config = read_json(folder.path() / "config.json");
  edit_config(config);
  write_file_atomic(folder.path() / "config.json", config.dump());
  TensorMap tensors = model->state();
  edit_weights(tensors);
  write_safetensors(folder.path() / "model.safetensors", tensors);
  try {
    load_pretrained(folder.path());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const auto kSameConfig = [](json&) {};

}  // namespace

TEST_CASE("a saved model comes back bit for bit with its configuration", "[models][pretrained]") {
  for (const bool tied : {true, false}) {
    const TempDir folder;
    auto config = tiny_model_config();
    config.decoder.tie_word_embeddings = tied;
    config.decoder.n_inner = 20;
    config.decoder.activation_function = "silu";
    config.encoder.qkv_bias = false;
    const auto model = tiny_random_model(config);
    save_pretrained(*model, folder.path() / "new/folder");
    const auto back = load_pretrained(folder.path() / "new/folder");
    const TensorMap before = model->state(), after = back->state();
    REQUIRE(before.size() == after.size());
    CHECK(before.contains("decoder.lm_head.weight") != tied);
    for (const auto& [name, tensor] : before) CHECK(at::equal(tensor, after.at(name)));
    CHECK(back->config().decoder.n_inner == 20);
    CHECK(back->config().decoder.activation_function == "silu");
    CHECK(back->config().pad_token_id == 2);
    CHECK_FALSE(back->config().encoder.qkv_bias);
  }
}

TEST_CASE("missing files are named", "[models][pretrained]") {
  const TempDir folder;
  CHECK_THROWS_WITH(load_pretrained(folder.path() / "absent"), ContainsSubstring("no such folder"));
  CHECK_THROWS_AS(load_pretrained(folder.path()), CheckpointError);
  CHECK_THROWS_WITH(load_pretrained(folder.path()), ContainsSubstring("has no config.json"));
  save_pretrained(*tiny_random_model(), folder.path());
  fs::remove(folder.path() / "model.safetensors");
  CHECK_THROWS_WITH(load_pretrained(folder.path()), ContainsSubstring("has neither model.safetensors nor"));
  write_file_atomic(folder.path() / "config.json", "{\"model_type\": ");
  CHECK_THROWS_WITH(load_pretrained(folder.path()), ContainsSubstring("config.json"));
}

TEST_CASE("weights that do not fit are named", "[models][pretrained]") {
  CHECK(complaint(kSameConfig) == "no error");
  CHECK_THAT(complaint(kSameConfig, [](TensorMap& weights) { weights.erase("decoder.transformer.ln_f.bias"); }),
             ContainsSubstring("1 weights are missing: decoder.transformer.ln_f.bias"));
  CHECK_THAT(complaint(kSameConfig,
                       [](TensorMap& weights) {
                         std::erase_if(weights,
                                       [](const auto& item) { return item.first.starts_with("encoder.encoder."); });
                       }),
             ContainsSubstring("32 weights are missing: encoder.encoder.layer.0") && ContainsSubstring("and 22 more"));
  CHECK_THAT(complaint([](json& config) { config["decoder"]["vocab_size"] = 41; }),
             ContainsSubstring("decoder.transformer.wte.weight (file [40, 12], model [41, 12])"));
  CHECK_THAT(
      complaint(kSameConfig, [](TensorMap& weights) { weights["decoder.lm_head.weight"] = at::zeros({40, 12}); }),
      ContainsSubstring("differ, but decoder.tie_word_embeddings in config.json says they are one"));
  CHECK_THAT(complaint(kSameConfig,
                       [](TensorMap& weights) {
                         weights["encoder.layers.0.mlp.fc1.bias"] =
                             weights.at("encoder.encoder.layer.0.intermediate.dense.bias");
                       }),
             ContainsSubstring("encoder.encoder.layer.0.intermediate.dense.bias under two names"));
  // A pooler may be absent, anything that has no use may be there.
  CHECK(complaint(kSameConfig, [](TensorMap& weights) {
          weights.erase("encoder.pooler.dense.weight");
          weights["extra"] = at::zeros({1});
        }) == "no error");
}

TEST_CASE("load_state without a report is strict and copies nothing on an error", "[models][pretrained]") {
  const auto model = tiny_random_model();
  TensorMap weights = tiny_random_model(tiny_model_config(), 2)->state();
  weights.erase("enc_to_dec_proj.bias");
  weights["extra"] = at::zeros({1});
  const at::Tensor before = model->state().at("encoder.layernorm.bias").clone();
  CHECK_THROWS_WITH(model->load_state(weights), ContainsSubstring("1 weights are missing: enc_to_dec_proj.bias") &&
                                                    ContainsSubstring("1 weights do not belong to the model: extra"));
  CHECK(at::equal(model->state().at("encoder.layernorm.bias"), before));
  LoadReport report;
  model->load_state(weights, &report);
  CHECK(report.newly_initialized == std::vector<std::string>{"enc_to_dec_proj.bias"});
  CHECK(report.unexpected == std::vector<std::string>{"extra"});
  CHECK_FALSE(at::equal(model->state().at("encoder.layernorm.bias"), before));
}

TEST_CASE("weights in the model's type stay in the file's mapping, others are converted", "[models][pretrained]") {
  const TempDir folder;
  const auto model = tiny_random_model();
  const fs::path file = folder.path() / "model.safetensors";
  save_pretrained(*model, folder.path());
  const std::string before = read_file(file);
  const auto same = load_pretrained(folder.path());
  // Not one allocation of torch's: those begin at multiples of 64 bytes.
  CHECK(std::ranges::any_of(same->state(), [](const auto& item) {
    return reinterpret_cast<std::uintptr_t>(item.second.const_data_ptr()) % 64 != 0;
  }));
  {
    const at::NoGradGuard no_grad;
    for (at::Tensor& parameter : same->parameters()) parameter.add_(1);
  }
  CHECK(read_file(file) == before);

  for (const at::ScalarType stored : {at::kFloat, at::kBFloat16, at::kHalf}) {
    save_pretrained(*model, folder.path(), stored);
    CHECK(read_json(folder.path() / "config.json")["torch_dtype"] == dtype_name(stored));
    for (const at::ScalarType wanted : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const TensorMap state = load_pretrained(folder.path(), {.dtype = wanted})->state();
      for (const auto& [name, tensor] : model->state()) {
        CHECK(state.at(name).scalar_type() == wanted);
        CHECK(at::equal(state.at(name), tensor.to(stored).to(wanted)));
      }
    }
    const LoadOptions as_stored{.dtype = std::nullopt};
    CHECK(load_pretrained(folder.path(), as_stored)->parameters().front().scalar_type() == stored);
  }
}

TEST_CASE("what does not fit starts fresh only where that is asked for", "[models][pretrained]") {
  const TempDir folder;
  const auto model = tiny_random_model();
  save_pretrained(*model, folder.path());
  TensorMap tensors = model->state();
  tensors["decoder.transformer.wpe.weight"] = at::zeros({7, 12});
  tensors.erase("decoder.transformer.ln_f.weight");
  tensors["extra"] = at::zeros({1});
  write_safetensors(folder.path() / "model.safetensors", tensors);
  CHECK_THROWS_WITH(load_pretrained(folder.path()),
                    ContainsSubstring("1 weights have another shape than config.json says: "
                                      "decoder.transformer.wpe.weight (file [7, 12], model [12, 12])") &&
                        ContainsSubstring("ignore_mismatched_sizes"));
  CHECK_THROWS_WITH(load_pretrained(folder.path(), {.ignore_mismatched_sizes = true}),
                    ContainsSubstring("1 weights are missing: decoder.transformer.ln_f.weight"));
  LoadReport report;
  const auto loaded =
      load_pretrained(folder.path(), {.initialize_missing = true, .ignore_mismatched_sizes = true, .seed = 3}, &report);
  CHECK(report.newly_initialized == std::vector<std::string>{"decoder.transformer.ln_f.weight"});
  CHECK(report.unexpected == std::vector<std::string>{"extra"});
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0].file_shape == std::vector<std::int64_t>{7, 12});
  CHECK(report.mismatched[0].model_shape == std::vector<std::int64_t>{12, 12});
  const std::string text = report_text(report);
  CHECK_THAT(text, ContainsSubstring("1 weights have another shape in the file and start fresh") &&
                       ContainsSubstring("1 weights have no use in this model: extra"));
  const TensorMap state = loaded->state();
  CHECK(at::equal(state.at("decoder.transformer.ln_f.weight"), at::ones({12})));
  CHECK(state.at("decoder.transformer.wpe.weight").std().item<double>() > 0.01);
  CHECK(at::equal(state.at("decoder.transformer.wte.weight"), tensors.at("decoder.transformer.wte.weight")));
  const LoadReport checked = check_pretrained(folder.path());
  CHECK(checked.mismatched.size() == 1);
  CHECK(checked.newly_initialized == report.newly_initialized);
}

TEST_CASE("a file of torch.save opens like a safetensors file, shared storages become separate weights",
          "[models][pretrained]") {
  const TempDir folder;
  const auto model = tiny_random_model();
  save_pretrained(*model, folder.path());
  fs::remove(folder.path() / "model.safetensors");
  TensorMap tensors = model->state();
  const std::string query = "encoder.encoder.layer.0.attention.attention.query.weight";
  const std::string key = "encoder.encoder.layer.0.attention.attention.key.weight";
  tensors[key] = tensors.at(query);
  std::ofstream(folder.path() / "pytorch_model.bin", std::ios::binary) << torch_file(tensors);
  const auto back = load_pretrained(folder.path());
  const TensorMap state = back->state();
  for (const auto& [name, tensor] : tensors) CHECK(at::equal(tensor, state.at(name)));
  state.at(query).zero_();
  CHECK(at::equal(state.at(key), tensors.at(key)));
}

TEST_CASE("a configuration that asks for more than the file holds takes no memory", "[models][pretrained]") {
  const auto complain = [](int width, int inner, int blocks) {
    return complaint([&](json& config) {
      config["encoder"]["hidden_size"] = width;
      config["encoder"].erase("pooler_output_size");
      config["encoder"]["intermediate_size"] = inner;
      config["encoder"]["num_hidden_layers"] = blocks;
    });
  };
  // 275 terabytes, and 2 gigabytes in each of the first two blocks.
  CHECK_THAT(complain(65536, 262144, 1000), ContainsSubstring("the weights hold 13324 numbers; config.json asks for"));
  CHECK_THAT(complain(2048, 262144, 2), ContainsSubstring("have another shape than config.json says"));
}

TEST_CASE("options that would change the numbers are refused by their key", "[models][pretrained]") {
  const auto with = [](const char* part, const char* key, const json& value) {
    return complaint([&](json& config) { config[part][key] = value; });
  };
  CHECK_THAT(with("decoder", "cross_attention_hidden_size", 16),
             ContainsSubstring("decoder: cross_attention_hidden_size is 16; this version computes only null"));
  CHECK_THAT(with("decoder", "activation_function", "quick_gelu"),
             ContainsSubstring("activation_function is \"quick_gelu\"; this version computes gelu_new"));
  CHECK_THAT(with("decoder", "model_type", "bart"), ContainsSubstring("model_type is \"bart\"; expected \"gpt2\""));
  CHECK_THAT(with("decoder", "add_cross_attention", false), ContainsSubstring("add_cross_attention is false"));
  CHECK_THAT(with("encoder", "hidden_act", "gelu_fast"), ContainsSubstring("hidden_act is \"gelu_fast\""));
  CHECK_THAT(with("encoder", "model_type", "swin"),
             ContainsSubstring(R"(model_type is "swin"; this version knows "deit", "siglip_vision_model", "vit".)"));
  CHECK_THAT(with("encoder", "image_size", {16, 32}), ContainsSubstring("image_size is [16,32]"));
  CHECK(with("encoder", "image_size", {16, 16}) == "no error");
  CHECK_THAT(with("encoder", "pooler_output_size", 7), ContainsSubstring("pooler_output_size is 7"));
  CHECK_THAT(complaint([](json& config) { config["model_type"] = "blip"; }), ContainsSubstring("model_type is 'blip'"));
  CHECK_THAT(complaint([](json& config) { config["quantization_config"] = {{"bits", 4}}; }),
             ContainsSubstring("quantization_config is set"));
}

TEST_CASE("wrong values in config.json are named with what was expected", "[models][pretrained]") {
  const auto with = [](const char* part, const char* key, const json& value) {
    return complaint([&](json& config) { config[part][key] = value; });
  };
  CHECK_THAT(with("decoder", "n_layer", "two"),
             ContainsSubstring("decoder: n_layer is \"two\"; expected a whole number"));
  CHECK_THAT(with("decoder", "n_layer", -1), ContainsSubstring("n_layer is -1; expected at least 1 and at most 1000"));
  CHECK_THAT(with("decoder", "n_embd", 1e300), ContainsSubstring("n_embd is 1e+300; expected a whole number"));
  CHECK_THAT(with("decoder", "attn_pdrop", 1.5), ContainsSubstring("attn_pdrop is 1.5"));
  CHECK_THAT(with("encoder", "qkv_bias", 1), ContainsSubstring("qkv_bias is 1; expected true or false"));
  CHECK_THAT(with("encoder", "layer_norm_eps", 0), ContainsSubstring("layer_norm_eps is 0; expected above 0"));
  CHECK_THAT(with("encoder", "patch_size", 17), ContainsSubstring("image_size 16 is smaller than patch_size 17"));
  CHECK_THAT(complaint([](json& config) { config["pad_token_id"] = 40; }),
             ContainsSubstring("pad_token_id 40 is not in the vocabulary of 40 tokens"));
  CHECK_THAT(complaint([](json& config) { config["pad_token_id"] = "x"; }),
             ContainsSubstring("pad_token_id is \"x\"; expected a token id"));
  CHECK_THAT(complaint([](json& config) { config.erase("decoder"); }), ContainsSubstring("has no 'decoder'"));
  CHECK_THAT(complaint([](json& config) { config["encoder"] = 3; }), ContainsSubstring("expected an object, found 3"));
  CHECK_THAT(complaint([](json& config) { config = json::array(); }), ContainsSubstring("model_type is ''"));
}

TEST_CASE("token ids come from config.json, generation_config.json or the decoder", "[models][pretrained]") {
  const TempDir folder;
  save_pretrained(*tiny_random_model(), folder.path());
  json config = read_json(folder.path() / "config.json");
  for (const char* key : {"pad_token_id", "eos_token_id", "decoder_start_token_id"}) config[key] = nullptr;
  config["decoder"]["eos_token_id"] = 5;
  config["decoder"]["pad_token_id"] = nullptr;
  write_file_atomic(folder.path() / "config.json", config.dump());
  write_file_atomic(folder.path() / "generation_config.json", R"({"decoder_start_token_id": [7]})");
  const VisionEncoderDecoderConfig read = read_model_config(folder.path());
  CHECK(read.eos_token_id == 5);
  CHECK(read.pad_token_id == 5);  // texts are padded with their end where nothing else is said
  CHECK(read.decoder_start_token_id == 7);
  CHECK(read.bos_token_id == 39);
  write_file_atomic(folder.path() / "generation_config.json", R"({"decoder_start_token_id": [7, 8]})");
  CHECK_THROWS_WITH(read_model_config(folder.path()), ContainsSubstring("decoder_start_token_id is a list"));
}

TEST_CASE("keys that an older config.json leaves out take transformers' defaults", "[models][pretrained]") {
  const TempDir folder;
  write_file_atomic(folder.path() / "config.json",
                    R"({"model_type":"vision-encoder-decoder","eos_token_id":1,"encoder":{"model_type":"vit"},
                        "decoder":{"model_type":"gpt2","add_cross_attention":true,"num_attention_heads":16,
                                   "n_embd":1024}})");
  const VisionEncoderDecoderConfig config = read_model_config(folder.path());
  CHECK(config.decoder.n_layer == 12);
  CHECK(config.decoder.n_head == 16);
  CHECK(config.decoder.vocab_size == 50257);
  CHECK(config.encoder.num_hidden_layers == 12);
}

TEST_CASE("a model folder is described by its parameters", "[models][inspect]") {
  const TempDir folder;
  save_pretrained(*tiny_random_model(), folder.path());
  const std::string text = describe_model(folder.path());
  CHECK_THAT(text, ContainsSubstring("vision-encoder-decoder (vit + gpt2)"));
  CHECK_THAT(text, ContainsSubstring("encoder.encoder.layer.*.attention.attention.query.weight"));
  CHECK_THAT(text, ContainsSubstring("7,408"));   // encoder, counted by hand
  CHECK_THAT(text, ContainsSubstring("13,324"));  // with 204 of the projection and 5,712 of the decoder
  CHECK_THROWS_AS(describe_model(folder.path() / "absent"), CheckpointError);
}

TEST_CASE("the cost of a model is counted from its shape", "[models][inspect]") {
  const auto config = tiny_model_config();  // 4 patches of 3 * 8 * 8 values, 5 tokens
  const EncoderCost encoder = encoder_cost(config.encoder);
  CHECK(encoder.tokens == 5);
  // Patches, then two blocks: projections, attention, feed-forward.
  CHECK(encoder.flops == 2 * 4 * 192 * 16 + 2 * (2 * 5 * 16 * 16 * 4 + 2 * 2 * 5 * 5 * 16 + 2 * 2 * 5 * 16 * 24));
  const DecoderCost decoder = decoder_cost(config.decoder, 5);
  CHECK(decoder.token_flops == 2 * (2 * 12 * 12 * 4 + 2 * 2 * 12 * 48 + 2 * 12 * 12 * 2 + 2 * 2 * 5 * 12));
  CHECK(decoder.flops_per_position == 2 * 2 * 2 * 12);
  CHECK(decoder.head_flops == 2 * 12 * 40);
  CHECK(decoder.cross_flops == 2 * 2 * 2 * 5 * 12 * 12);
  CHECK(decoder.cache_values == 2 * 2 * 12 * 12);
  CHECK(decoder.cross_cache_values == 2 * 2 * 5 * 12);
  CHECK(projection_flops(config.encoder, config.decoder) == 2 * 5 * 16 * 12);
  const DecoderCost blind = decoder_cost(config.decoder, 0);
  CHECK(blind.token_flops == 2 * (2 * 12 * 12 * 4 + 2 * 2 * 12 * 48));
  CHECK(blind.cross_flops == 0);
}

TEST_CASE("a description says what does not fit and what cannot be opened", "[models][inspect]") {
  const TempDir folder;
  const auto model = tiny_random_model();
  save_pretrained(*model, folder.path());
  CHECK_THAT(describe_model(folder.path()), ContainsSubstring("the weights fit config.json") &&
                                                ContainsSubstring("encoder, per picture of 5 tokens") &&
                                                ContainsSubstring("KV cache of one text of 12 tokens"));
  json config = read_json(folder.path() / "config.json");
  config["decoder"]["n_positions"] = 14;
  write_file_atomic(folder.path() / "config.json", config.dump());
  CHECK_THAT(describe_model(folder.path()),
             ContainsSubstring("mismatched  decoder.transformer.wpe.weight (file [12,12], model [14,12])"));
  config["decoder"]["n_positions"] = "many";
  write_file_atomic(folder.path() / "config.json", config.dump());
  CHECK_THAT(describe_model(folder.path()),
             ContainsSubstring("not opened by this version") && ContainsSubstring("n_positions is \"many\""));
}

TEST_CASE("the architectures are listed", "[models][registry]") {
  CHECK(models().names() ==
        std::vector<std::string>{"deit", "gpt2", "siglip_vision_model", "vision-encoder-decoder", "vit"});
}
