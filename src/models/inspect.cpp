// Facts about a folder as JSON; inspect_text.cpp makes them readable.
#include "capstan/models/inspect.h"

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/models/pretrained.h"
#include "models/hf_config.h"
#include "models/vision_family.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

std::string type_of(const json& config) {
  const bool known = config.is_object() && config.contains("model_type") && config["model_type"].is_string();
  return known ? config["model_type"].get<std::string>() : "unknown type";
}

ordered_json parameters(const fs::path& directory) {
  ordered_json tensors = ordered_json::array();
  for (const auto& [name, tensor] : read_pretrained_tensors(directory))
    tensors.push_back({{"name", name},
                       {"shape", tensor.sizes().vec()},
                       {"dtype", dtype_name(tensor.scalar_type())},
                       {"bytes", tensor.nbytes()}});
  return tensors;
}

ordered_json encoder_facts(const VisionConfig& config) {
  const EncoderCost cost = encoder_cost(config);
  return {{"image_size", config.image_size}, {"tokens", cost.tokens}, {"flops_per_image", cost.flops}};
}

ordered_json decoder_facts(const Gpt2Config& config, std::int64_t image_tokens, double projection) {
  const DecoderCost cost = decoder_cost(config, image_tokens);
  ordered_json facts{{"n_positions", config.n_positions},
                     {"flops_per_token", cost.token_flops},
                     {"flops_per_token_and_position", cost.flops_per_position},
                     {"lm_head_flops_per_token", cost.head_flops},
                     {"cache_values", cost.cache_values}};
  if (image_tokens == 0) return facts;
  facts["cross_flops_per_image"] = cost.cross_flops;
  facts["projection_flops_per_image"] = projection;
  facts["cross_cache_values"] = cost.cross_cache_values;
  return facts;
}

ordered_json fit(const LoadReport& report) {
  ordered_json mismatched = ordered_json::array();
  for (const MismatchedWeight& weight : report.mismatched)
    mismatched.push_back({{"name", weight.name}, {"file", weight.file_shape}, {"model", weight.model_shape}});
  return {{"missing", report.newly_initialized}, {"unexpected", report.unexpected}, {"mismatched", mismatched}};
}

void check_parts(const VisionConfig* encoder, const Gpt2Config* decoder, const std::string& where) {
  std::vector<std::string> problems;
  if (encoder != nullptr) encoder->check(problems);
  if (decoder != nullptr) decoder->check(problems);
  if (!problems.empty()) throw CheckpointError(where + ": " + join(problems, "; ") + ".");
}

void add_cost(ordered_json& facts, const json& config, const fs::path& directory) {
  const std::string type = type_of(config), where = (directory / "config.json").string();
  if (type == "vision-encoder-decoder") {
    const VisionEncoderDecoderConfig whole = read_model_config(directory);
    facts["encoder"] = encoder_facts(whole.encoder);
    facts["decoder"] = decoder_facts(whole.decoder, facts["encoder"]["tokens"].get<std::int64_t>(),
                                     projection_flops(whole.encoder, whole.decoder));
    facts["fit"] = fit(check_pretrained(directory));
  } else if (type == "gpt2") {
    const Gpt2Config decoder = read_gpt2_config(config, where);
    check_parts(nullptr, &decoder, where);
    facts["decoder"] = decoder_facts(decoder, 0, 0);
  } else if (vision_families().contains(type) || type == "siglip") {
    const VisionConfig encoder = read_vision_config(config, where);
    check_parts(&encoder, nullptr, where);
    facts["encoder"] = encoder_facts(encoder);
  }
}

}  // namespace

ordered_json model_facts(const fs::path& directory) {
  ordered_json facts{{"directory", directory.string()}, {"parameters", parameters(directory)}};
  const fs::path file = directory / "config.json";
  if (!fs::exists(file)) return facts;
  const json config = read_json(file);
  facts["model_type"] = type_of(config);
  if (config.is_object() && config.contains("encoder") && config.contains("decoder"))
    facts["parts"] = {type_of(config["encoder"]), type_of(config["decoder"])};
  try {
    add_cost(facts, config, directory);
  } catch (const Error& error) {  // the parameters can be shown all the same
    facts["problem"] = error.what();
  }
  return facts;
}

}  // namespace capstan
