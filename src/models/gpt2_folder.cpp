// A GPT-2 without a captioner around it, to and from transformers' folders.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/models/gpt2.h"
#include "models/hf_config.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = "lm_head.weight";

TensorMap state_of(const Gpt2& model) {
  TensorMap state;
  for (const auto& item : model.named_parameters()) state.emplace(item.key(), item.value().detach());
  return state;
}

// Under the names of GPT2LMHeadModel, without the causal masks that transformers before 4.31 saved.
TensorMap named_tensors(const fs::path& directory, bool tied) {
  TensorMap result;
  for (const auto& [name, tensor] : read_pretrained_tensors(directory)) {
    if (name.ends_with(".attn.bias") || name.ends_with("attention.bias") || name.ends_with(".masked_bias")) continue;
    const bool is_inside = name != kHead && !name.starts_with("transformer.");
    result.emplace(is_inside ? "transformer." + name : name, tensor);
  }
  const auto head = result.find(kHead), table = result.find("transformer.wte.weight");
  if (!tied || head == result.end() || table == result.end()) return result;
  if (!at::equal(head->second, table->second))
    throw CheckpointError(fmt::format(
        "{}: {} and the token embedding differ, but tie_word_embeddings says they are one; set it to false.",
        directory.string(), kHead));
  result.erase(head);
  return result;
}

}  // namespace

std::shared_ptr<Gpt2> load_gpt2(const fs::path& directory) {
  const fs::path file = directory / "config.json";
  const Gpt2Config config = read_gpt2_config(read_json(file), file.string());
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty()) throw CheckpointError(file.string() + ": " + join(problems, "; ") + ".");
  const TensorMap given = named_tensors(directory, config.tie_word_embeddings);
  auto model = std::make_shared<Gpt2>(config);
  const at::NoGradGuard no_grad;
  const TensorMap own = state_of(*model);
  for (auto [name, parameter] : own) {
    const auto found = given.find(name);
    if (found == given.end())
      problems.push_back(name + " is missing");
    else if (found->second.sizes() != parameter.sizes())
      problems.push_back(name + " has another shape");
    else
      parameter.copy_(found->second);
  }
  for (const auto& [name, tensor] : given)
    if (!own.contains(name)) problems.push_back(name + " has no use");
  if (problems.size() > 10) problems.resize(10);
  if (!problems.empty())
    throw CheckpointError(fmt::format("{}: {}. Use the weights and the config.json of the same model.",
                                      directory.string(), join(problems, "; ")));
  return model;
}

void save_gpt2(const Gpt2& model, const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw CheckpointError(fmt::format("{}: cannot be created ({}).", directory.string(), error.message()));
  const TensorMap state = state_of(model);
  nlohmann::ordered_json config = gpt2_json(model.config());
  config["architectures"] = {"GPT2LMHeadModel"};
  config["torch_dtype"] = dtype_name(state.at("transformer.wte.weight").scalar_type());
  write_safetensors(directory / "model.safetensors", state);
  write_json(directory / "config.json", config);
}

}  // namespace capstan
