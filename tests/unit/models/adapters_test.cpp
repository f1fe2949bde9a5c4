// Adapters on whole captioners: which layers get one, what is frozen, and files.
#include "capstan/models/adapters.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/nn/init.h"
#include "support/catch.h"
#include "unit/models/tiny_model.h"

using namespace capstan;

namespace {

std::vector<std::string> adapted(const VisionEncoderDecoder& model) {
  std::vector<std::string> names;
  for (const NamedLayer& item : linear_layers(model))
    if (item.layer->has_lora()) names.push_back(item.name);
  return names;
}

std::vector<std::string> trainable(const VisionEncoderDecoder& model) {
  std::vector<std::string> names;
  for (const auto& item : model.named_parameters())
    if (item.value().requires_grad()) names.push_back(item.key());
  return names;
}

at::Tensor logits(VisionEncoderDecoder& model) {
  const at::NoGradGuard no_grad;
  return model.decode(testing::tiny_ids(2, 6), model.encode(testing::tiny_pictures(2)));
}

// With every value of A and B drawn.
std::shared_ptr<VisionEncoderDecoder> model_with_adapter(const LoraConfig& config) {
  auto model = testing::tiny_random_model();
  add_adapter(*model, config, 3);
  for (const NamedLayer& item : linear_layers(*model))
    if (item.layer->has_lora()) init_normal(item.layer->lora_b(), 0.3, 7, item.name);
  return model;
}

void write_config(const fs::path& folder, const std::string& key, const nlohmann::json& value) {
  nlohmann::ordered_json root = nlohmann::ordered_json::parse(read_file(folder / "adapter_config.json"));
  root[key] = value;
  write_json(folder / "adapter_config.json", root);
}

}  // namespace

TEST_CASE("target modules are chosen by published names or by those of transformers 5", "[models][adapters]") {
  const auto chosen = [](std::vector<std::string> targets, std::vector<std::string> without = {}) {
    auto model = testing::tiny_random_model();
    add_adapter(*model, {.r = 2, .target_modules = std::move(targets), .exclude_modules = std::move(without)}, 1);
    return adapted(*model);
  };
  const std::vector<std::string> queries{"encoder.encoder.layer.0.attention.attention.query",
                                         "encoder.encoder.layer.1.attention.attention.query"};
  CHECK(chosen({"query"}) == queries);
  CHECK(chosen({"q_proj"}) == queries);
  CHECK(chosen({"encoder\\.layers\\.[01]\\.attention\\.q_proj"}) == queries);
  CHECK(chosen({"attn.c_attn"}) ==
        std::vector<std::string>{"decoder.transformer.h.0.attn.c_attn", "decoder.transformer.h.1.attn.c_attn"});
  // 6 of each encoder block, 7 of each decoder block, and the projection between.
  CHECK(chosen({"all-linear"}).size() == 2 * 6 + 2 * 7 + 1);
  CHECK(chosen({"all-linear"}, {".*decoder.*", "enc_to_dec_proj"}).size() == 2 * 6);
}

TEST_CASE("adapters of SigLIP are saved without the tower's name and open with it", "[models][adapters]") {
  auto tiny = testing::tiny_model_config();
  tiny.encoder.model_type = "siglip_vision_model";
  tiny.encoder.hidden_act = "gelu_pytorch_tanh";
  const LoraConfig config{
      .r = 2, .target_modules = {"encoder.layers.1.mlp.fc1"}, .modules_to_save = {"post_layernorm"}};
  auto model = testing::tiny_random_model(tiny);
  add_adapter(*model, config, 1);
  CHECK(adapted(*model) == std::vector<std::string>{"encoder.vision_model.encoder.layers.1.mlp.fc1"});
  for (const NamedLayer& item : linear_layers(*model))
    if (item.layer->has_lora()) init_normal(item.layer->lora_b(), 0.3, 7, item.name);

  const TempDir temp;
  save_adapter(*model, config, temp.path(), "base");
  const nlohmann::json written = read_json(temp.path() / "adapter_config.json");
  CHECK(written.at("target_modules") == nlohmann::json{"encoder.encoder.layers.1.mlp.fc1"});
  CHECK(written.at("modules_to_save") == nlohmann::json{"encoder.post_layernorm"});
  const fs::path file = temp.path() / "adapter_model.safetensors";
  TensorMap renamed;  // as transformers 4 has it, with an adapter of the head that nothing uses
  for (const auto& [name, tensor] : read_safetensors(file)) {
    CHECK(name.find("vision_model") == std::string::npos);
    std::string old = name;
    renamed[old.replace(0, std::string_view("base_model.model.encoder.").size(),
                        "base_model.model.encoder.vision_model.")] = tensor;
  }
  renamed["base_model.model.encoder.vision_model.head.mlp.fc1.lora_A.weight"] = at::zeros({2, 16});
  write_safetensors(file, renamed);
  auto other = testing::tiny_random_model(tiny);
  load_adapter(*other, temp.path());
  CHECK(at::equal(logits(*other), logits(*model)));
}

TEST_CASE("an entry that selects nothing is named with the nearest name", "[models][adapters]") {
  auto model = testing::tiny_random_model();
  CHECK_THROWS_AS(add_adapter(*model, {.r = 2, .target_modules = {"qery"}}, 1), ConfigError);
  CHECK_THROWS_WITH(add_adapter(*model, {.r = 2, .target_modules = {"qery"}}, 1),
                    ContainsSubstring("lora.target_modules: 'qery' selects no linear layer of the model. Did you mean "
                                      "'query'?"));
  CHECK_THROWS_WITH(add_adapter(*model, {.r = 2, .exclude_modules = {"nothing_such"}}, 1),
                    ContainsSubstring("lora.exclude_modules: 'nothing_such'"));
  CHECK_THROWS_WITH(
      add_adapter(*model, {.r = 2, .modules_to_save = {"crossatention"}}, 1),
      ContainsSubstring("lora.modules_to_save: 'crossatention' selects no module of the model. Did you mean "
                        "'crossattention'?"));
  CHECK_THROWS_WITH(add_adapter(*model, {.r = 2, .target_modules = {"query"}, .exclude_modules = {"query"}}, 1),
                    ContainsSubstring("no linear layer is left to adapt"));
  CHECK_FALSE(has_adapter(*model));
  std::vector<std::string> problems;
  LoraConfig{.r = 2, .target_modules = {}}.check(problems);
  CHECK(problems.size() == 1);
}

TEST_CASE("a fresh adapter changes nothing and is all that is trained", "[models][adapters]") {
  auto model = testing::tiny_random_model();
  const at::Tensor before = logits(*model);
  const auto names = model->state();
  add_adapter(*model, {.r = 2, .target_modules = {"query"}, .modules_to_save = {"enc_to_dec_proj"}}, 1);
  CHECK(at::equal(logits(*model), before));
  CHECK(trainable(*model) == std::vector<std::string>{"encoder.encoder.layer.0.attention.attention.query.lora_A.weight",
                                                      "encoder.encoder.layer.0.attention.attention.query.lora_B.weight",
                                                      "encoder.encoder.layer.1.attention.attention.query.lora_A.weight",
                                                      "encoder.encoder.layer.1.attention.attention.query.lora_B.weight",
                                                      "enc_to_dec_proj.weight", "enc_to_dec_proj.bias"});
  const auto after = model->state();
  CHECK(std::ranges::equal(
      names, after, {}, [](const auto& item) { return item.first; }, [](const auto& item) { return item.first; }));

  const at::Tensor a = linear_layers(*model).front().layer->lora_a();
  CHECK(a.abs().max().item<double>() <= 0.25);  // 1 / sqrt(16)
  CHECK(a.abs().max().item<double>() > 0.15);
  CHECK(a.abs().min().item<double>() > 0);
}

TEST_CASE("a module that is saved whole gets no adapter", "[models][adapters]") {
  auto model = testing::tiny_random_model();
  add_adapter(*model, {.r = 2, .target_modules = {"all-linear"}, .modules_to_save = {"crossattention"}}, 1);
  for (const std::string& name : adapted(*model)) CHECK(name.find("crossattention") == std::string::npos);
  CHECK(adapted(*model).size() == 2 * 6 + 2 * 4 + 1);
}

TEST_CASE("a merged adapter gives the same logits and goes without a trace", "[models][adapters]") {
  auto model = model_with_adapter({.r = 3, .lora_alpha = 6});
  const at::Tensor weight = model->state().at("decoder.transformer.h.0.attn.c_attn.weight").clone();
  const at::Tensor open = logits(*model);
  {
    const MergedAdapter merged(*model);
    const MergedAdapter again(*model);
    CHECK(testing::largest_difference(logits(*model), open) <= 1e-5);
    CHECK_FALSE(at::equal(model->state().at("decoder.transformer.h.0.attn.c_attn.weight"), weight));
  }
  CHECK(at::equal(model->state().at("decoder.transformer.h.0.attn.c_attn.weight"), weight));
  CHECK(at::equal(logits(*model), open));
}

TEST_CASE("an adapter's folder gives the same model again", "[models][adapters]") {
  const LoraConfig config{
      .r = 3, .lora_alpha = 6, .modules_to_save = {"ln_cross_attn", "enc_to_dec_proj"}, .use_rslora = true};
  auto model = model_with_adapter(config);
  init_normal(model->state().at("enc_to_dec_proj.weight"), 0.3, 8, "changed");
  const TempDir temp;
  save_adapter(*model, config, temp.path(), "base/model");

  auto other = testing::tiny_random_model();
  const LoraConfig read = load_adapter(*other, temp.path());
  CHECK(read.r == 3);
  CHECK(read.use_rslora);
  CHECK(at::equal(logits(*other), logits(*model)));
  CHECK_THROWS_WITH(load_adapter(*other, temp.path()), ContainsSubstring("has an adapter already"));

  auto applied = testing::tiny_random_model();
  apply_adapter(*applied, temp.path());
  CHECK_FALSE(has_adapter(*applied));
  CHECK(testing::largest_difference(logits(*applied), logits(*model)) <= 1e-5);

  auto fresh = testing::tiny_random_model();
  add_adapter(*fresh, config, 99);
  restore_adapter(*fresh, temp.path());
  CHECK(at::equal(logits(*fresh), logits(*model)));
}

TEST_CASE("adapters that do not fit are refused by name", "[models][adapters]") {
  const LoraConfig config{.r = 2, .target_modules = {"query"}};
  const TempDir temp;
  const fs::path folder = temp.path();
  save_adapter(*model_with_adapter(config), config, folder, "base");
  const auto refused = [&](const char* text) {
    auto model = testing::tiny_random_model();
    CHECK_THROWS_WITH(load_adapter(*model, folder), ContainsSubstring(text));
    CHECK_FALSE(has_adapter(*model));
  };
  for (const auto& [key, value] :
       std::map<std::string, nlohmann::json>{{"use_dora", true}, {"bias", "all"}, {"alpha_pattern", {{"query", 3}}}}) {
    const nlohmann::json before = read_json(folder / "adapter_config.json").value(key, nlohmann::json());
    write_config(folder, key, value);
    refused((key + " is ").c_str());
    write_config(folder, key, before);
  }
  write_config(folder, "init_lora_weights", "pissa");
  refused("which changes the base model");
  write_config(folder, "init_lora_weights", true);
  write_config(folder, "peft_type", "IA3");
  refused("peft_type is \"IA3\"");
  write_config(folder, "peft_type", "LORA");
  write_config(folder, "r", 4);
  refused("is of shape [2, 16], the model takes [4, 16]");
  write_config(folder, "r", "two");
  refused("adapter_config.json");
  write_config(folder, "r", 2);

  const TensorMap tensors = read_safetensors(folder / "adapter_model.safetensors");
  TensorMap changed = tensors;
  changed["base_model.model.encoder.layers.9.attention.q_proj.lora_A.weight"] = at::zeros({2, 16});
  write_safetensors(folder / "adapter_model.safetensors", changed);
  refused("the model has no place for base_model.model.encoder.layers.9");
  changed = tensors;
  changed.erase("base_model.model.encoder.layers.0.attention.q_proj.lora_B.weight");
  write_safetensors(folder / "adapter_model.safetensors", changed);
  refused("lora_A without lora_B");
  write_safetensors(folder / "adapter_model.safetensors", {});
  refused("do not pair up");
  fs::remove(folder / "adapter_model.safetensors");
  refused("adapter_model.safetensors is missing");
  fs::remove(folder / "adapter_config.json");
  refused("adapter_config.json is missing");
}
