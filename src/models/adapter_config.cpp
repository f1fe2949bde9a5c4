// adapter_config.json, the part of it that plain LoRA has.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "models/adapter_parts.h"

namespace capstan {
namespace {

using nlohmann::json;

constexpr const char* kConfigFile = "adapter_config.json";

bool is_set(const json& value) {
  return !value.is_null() && value != json(false) && value != json("none") && !(value.is_structured() && value.empty());
}

// Settings that make more of an adapter than two products added to a layer.
void require_plain_lora(const json& config, const std::string& where) {
  if (config.value("peft_type", json()) != json("LORA"))
    throw UnsupportedError(fmt::format("{}: peft_type is {}; expected \"LORA\"", where,
                                       config.value("peft_type", json()).dump(-1, ' ', true)));
  for (const char* key :
       {"bias", "use_dora", "lora_bias", "alpha_pattern", "rank_pattern", "layer_replication", "target_parameters",
        "trainable_token_indices", "alora_invocation_tokens", "use_qalora", "use_bdlora", "arrow_config",
        "corda_config", "loftq_config", "kasa_config", "velora_config", "monteclora_config"})
    if (config.contains(key) && is_set(config[key]))
      throw UnsupportedError(
          fmt::format("{}: {} is {}; only plain LoRA is supported. Merge the adapter with peft's "
                      "merge_and_unload and use the merged model.",
                      where, key, config[key].dump(-1, ' ', true)));
  // These start from changed base weights, which the adapter's file does not hold.
  const json init = config.value("init_lora_weights", json(true));
  if (init.is_string() && init != json("gaussian") && init != json("orthogonal") && init != json("eva"))
    throw UnsupportedError(
        fmt::format("{}: init_lora_weights is {}, which changes the base model; convert the adapter to "
                    "a plain one with peft first",
                    where, init.dump(-1, ' ', true)));
}

std::vector<std::string> read_names(const json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  return value.is_null() ? std::vector<std::string>{} : value.get<std::vector<std::string>>();
}

}  // namespace

LoraConfig read_adapter_config(const std::filesystem::path& directory) {
  const auto path = directory / kConfigFile;
  if (!std::filesystem::is_regular_file(path))
    throw CheckpointError(
        fmt::format("{} is missing; expected an adapter folder as peft's save_pretrained or a training "
                    "run with lora writes it",
                    path.string()));
  const json root = read_json(path);
  if (!root.is_object()) throw CheckpointError(path.string() + ": expected an object");
  require_plain_lora(root, path.string());
  try {
    LoraConfig config;
    config.r = root.at("r").get<int>();
    config.lora_alpha = root.at("lora_alpha").get<double>();
    config.lora_dropout = root.value("lora_dropout", 0.0);
    config.use_rslora = root.contains("use_rslora") && is_set(root["use_rslora"]);
    config.target_modules = read_names(root.value("target_modules", json()));
    config.exclude_modules = read_names(root.value("exclude_modules", json()));
    config.modules_to_save = read_names(root.value("modules_to_save", json()));
    if (config.r < 1) throw CheckpointError(fmt::format("{}: r is {}, expected at least 1", path.string(), config.r));
    return config;
  } catch (const json::exception& error) {
    throw CheckpointError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

void write_adapter_config(const LoraConfig& config, const std::vector<std::string>& targets,
                          const std::vector<std::string>& saved, const std::string& base,
                          const std::filesystem::path& directory) {
  nlohmann::ordered_json root{{"auto_mapping", nullptr},
                              {"base_model_name_or_path", base},
                              {"bias", "none"},
                              {"fan_in_fan_out", false},  // peft sets it where GPT-2's layout needs it
                              {"inference_mode", true},
                              {"init_lora_weights", true},
                              {"lora_alpha", config.lora_alpha},
                              {"lora_dropout", config.lora_dropout},
                              {"modules_to_save", nullptr},
                              {"peft_type", "LORA"},
                              {"r", config.r},
                              {"revision", nullptr},
                              {"target_modules", targets},
                              {"task_type", nullptr},
                              {"use_dora", false},
                              {"use_rslora", config.use_rslora}};
  if (!saved.empty()) root["modules_to_save"] = saved;
  write_json(directory / kConfigFile, root);
}

}  // namespace capstan
