// Whole exports of a tiny captioner: what lies in the folder, what is compared, and what is refused.
#include "capstan/export/export_model.h"

#include <torch/csrc/jit/serialization/import.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/generate/decode.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

struct Source {
  Source() { write_tiny_folder(model(), tiny_config()); }
  fs::path model() const { return folder.path() / "model"; }
  fs::path output() const { return folder.path() / "out"; }
  ExportOptions options() const { return {.model = model(), .output = output()}; }
  TempDir folder;
};

std::size_t num_entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("an export holds every format's files and a report that lists them", "[export][unit]") {
  const Source source;
  const ExportReport report = export_model(source.options(), {"huggingface", "torchscript", "onnx"});
  const auto json = read_json(source.output() / "export_report.json");
  for (const char* name : {"config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json",
                           "tokenizer_config.json", "model.safetensors", "README.md", "torchscript/model.pt",
                           "onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx"}) {
    CAPTURE(name);
    REQUIRE(json["files"][name] == fs::file_size(source.output() / name));
  }
  REQUIRE(json["formats"]["onnx"]["cross_attention"] == "absorb");
  REQUIRE(json["bytes"] == report.bytes);
  for (const char* format : {"huggingface", "torchscript"}) {
    REQUIRE_FALSE(json["formats"][format]["checks"].empty());
    for (const auto& check : json["formats"][format]["checks"]) REQUIRE(check["max_abs_diff"] <= check["tolerance"]);
  }
  REQUIRE(format_export(report).find("onnx/encoder_model.onnx") != std::string::npos);
  // No trace of the work beside the result.
  REQUIRE(num_entries(source.folder.path()) == 2);
}

TEST_CASE("an exported folder opens again with the same captions", "[export][unit]") {
  const Source source;
  export_model(source.options(), {"huggingface"});
  Captioner before(source.model(), {.device = "cpu"}), after(source.output(), {.device = "cpu"});
  REQUIRE(after.generation().max_new_tokens == before.generation().max_new_tokens);
  for (const int shade : {3, 5, 11})
    REQUIRE(after.caption(tiny_image(30, shade)) == before.caption(tiny_image(30, shade)));
  REQUIRE(read_json(source.output() / "generation_config.json")["max_length"] == 13);
}

TEST_CASE("a TorchScript module gives our logits and captions", "[export][unit]") {
  const c10::InferenceMode no_gradients;
  const bool tied = GENERATE(true, false);
  const std::string activation = GENERATE(as<std::string>{}, "gelu_new", "gelu", "relu", "silu");
  auto config = tiny_config();
  config.decoder.tie_word_embeddings = tied;
  config.decoder.activation_function = config.encoder.hidden_act = activation;
  config.encoder.qkv_bias = tied;
  const TempDir folder;
  write_tiny_folder(folder.path() / "model", config);
  export_model({.model = folder.path() / "model", .output = folder.path() / "out"}, {"torchscript"});

  auto module = torch::jit::load((folder.path() / "out/torchscript/model.pt").string());
  const auto model = load_pretrained(folder.path() / "model");
  model->eval();
  const at::Tensor pictures = tiny_pictures(config, 3);
  const at::Tensor ids = at::arange(12, at::kLong).reshape({3, 4});
  const at::Tensor hidden = module.get_method("encode")({pictures}).toTensor();
  REQUIRE(at::allclose(hidden, model->encode(pictures), 0, 1e-5));
  const at::Tensor logits = module.get_method("decode")({ids, hidden}).toTensor();
  REQUIRE(at::allclose(logits, model->decode(ids, hidden), 0, 1e-5));

  const auto captions = generate(*model, pictures, read_generation_config(folder.path() / "model"));
  const at::Tensor drawn = module.get_method("generate")({pictures, 12}).toTensor();
  for (std::int64_t row = 0; row < 3; ++row) {
    const auto& caption = captions[static_cast<std::size_t>(row)];
    const auto length = static_cast<std::int64_t>(caption.size());
    REQUIRE(drawn[row][0].item<std::int64_t>() == config.decoder_start_token_id);
    REQUIRE(at::equal(drawn[row].narrow(0, 1, length), at::tensor(caption, at::kLong)));
  }
}

TEST_CASE("a TorchScript module carries the parameters under Hugging Face's names", "[export][unit]") {
  const Source source;
  export_model(source.options(), {"torchscript"});
  const auto module = torch::jit::load((source.output() / "torchscript/model.pt").string());
  TensorMap found;
  for (const auto& item : module.named_parameters()) found.emplace(item.name, item.value);
  const TensorMap expected = load_pretrained(source.model())->state();
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, tensor] : expected) {
    CAPTURE(name);
    REQUIRE(found.contains(name));
    REQUIRE(at::equal(found.at(name), tensor));
  }
}

TEST_CASE("an output folder that holds files is refused, and replaced only when asked", "[export][unit]") {
  const Source source;
  fs::create_directories(source.output());
  std::ofstream(source.output() / "notes.txt") << "mine";
  REQUIRE_THROWS_AS(export_model(source.options(), {"onnx"}), DataError);
  REQUIRE(fs::exists(source.output() / "notes.txt"));
  auto options = source.options();
  options.overwrite = true;
  export_model(options, {"onnx"});
  REQUIRE_FALSE(fs::exists(source.output() / "notes.txt"));
  REQUIRE(fs::exists(source.output() / "onnx/encoder_model.onnx"));
  REQUIRE(num_entries(source.folder.path()) == 2);
}

TEST_CASE("an export that fails leaves the output as it was", "[export][unit]") {
  const Source source;
  fs::create_directories(source.output());
  std::ofstream(source.output() / "notes.txt") << "mine";
  fs::remove(source.model() / "model.safetensors");
  auto options = source.options();
  options.overwrite = true;
  REQUIRE_THROWS_AS(export_model(options, {"onnx"}), CheckpointError);
  REQUIRE(fs::exists(source.output() / "notes.txt"));
  REQUIRE(num_entries(source.folder.path()) == 2);
}

TEST_CASE("an export says what it does not know", "[export][unit]") {
  const Source source;
  REQUIRE_THROWS_WITH(export_model(source.options(), {"onix"}),
                      ContainsSubstring("unknown export format 'onix'") && ContainsSubstring("onnx"));
  REQUIRE_THROWS_WITH(export_model(source.options(), {}), ContainsSubstring("formats is empty"));
  auto options = source.options();
  options.cross_attention = "cached";
  REQUIRE_THROWS_WITH(export_model(options, {"onnx"}), ContainsSubstring("expected 'absorb' or 'plain'"));
  options = source.options();
  options.output.clear();
  REQUIRE_THROWS_WITH(export_model(options, {"onnx"}), ContainsSubstring("output is empty"));
  options.output = source.folder.path();
  options.overwrite = true;
  REQUIRE_THROWS_WITH(export_model(options, {"onnx"}), ContainsSubstring("holds the model that is exported"));
}

TEST_CASE("a final slash of the output changes nothing", "[export][unit]") {
  const Source source;
  auto options = source.options();
  options.output = source.output().string() + "/";
  export_model(options, {"onnx"});
  REQUIRE(fs::exists(source.output() / "onnx/encoder_model.onnx"));
  REQUIRE(num_entries(source.folder.path()) == 2);
}
