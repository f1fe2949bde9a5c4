// The parts of config.json put together; each family of encoders reads and writes its own.
#include "models/hf_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "models/json_fields.h"
#include "models/vision_family.h"

namespace capstan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Other names that transformers gives to keys of GPT-2.
json with_gpt2_names(json object) {
  for (const auto& [other, name] : {std::pair{"hidden_size", "n_embd"},
                                    {"max_position_embeddings", "n_positions"},
                                    {"num_attention_heads", "n_head"},
                                    {"num_hidden_layers", "n_layer"}})
    if (object.contains(other) && !object.contains(name)) object[name] = object[other];
  return object;
}

}  // namespace

VisionConfig read_vision_config(const json& object, const std::string& where) {
  const std::string expected = "\"" + join(vision_families().names(), "\", \"") + "\"";
  const std::string type = model_type_of(object, where, expected);
  if (type == "siglip" && object.contains("vision_config")) {
    const std::string part = where + ": vision_config";
    if (!object["vision_config"].is_object())
      throw CheckpointError(fmt::format("{}: expected an object, found {}.", part, shown(object["vision_config"])));
    return vision_families().find("siglip_vision_model").read(object["vision_config"], part);
  }
  if (!vision_families().contains(type))
    throw UnsupportedError(
        fmt::format("{}: model_type is {}; this version knows {}.", where, shown(json(type)), expected));
  return vision_families().find(type).read(object, where);
}

Gpt2Config read_gpt2_config(const json& object, const std::string& where) {
  if (const std::string type = model_type_of(object, where, "\"gpt2\""); type != "gpt2")
    throw UnsupportedError(fmt::format("{}: model_type is {}; expected \"gpt2\".", where, shown(json(type))));
  Gpt2Config config;
  config.n_layer = 12;  // transformers' default where the key is absent
  const json plain = with_gpt2_names(object);
  config.add_cross_attention = false;
  const JsonReader reader(plain, where);
  config.architecture(reader);
  require(
      object, where,
      {{"cross_attention_hidden_size", nullptr}, {"pruned_heads", json::object()}, {"quantization_config", nullptr}});
  return config;
}

ordered_json gpt2_json(const Gpt2Config& config) {
  ordered_json object{{"model_type", "gpt2"}};
  JsonWriter writer{object};
  Gpt2Config copy = config;
  copy.architecture(writer);
  if (config.n_inner == 0) object.erase("n_inner");  // a null here confuses Transformers.js
  object["n_ctx"] = config.n_positions;
  object["is_decoder"] = true;
  object["use_cache"] = true;
  return object;
}

ordered_json config_json(const VisionEncoderDecoderConfig& config, const std::string& dtype) {
  ordered_json encoder = vision_families().find(config.encoder.model_type).write(config.encoder);
  ordered_json decoder = gpt2_json(config.decoder);
  ordered_json root{{"architectures", {"VisionEncoderDecoderModel"}},
                    {"model_type", "vision-encoder-decoder"},
                    {"is_encoder_decoder", true},
                    {"tie_word_embeddings", false}};
  // Transformers.js lets the decoder's ids win over those of the top level, so they stand in both.
  for (ordered_json* part : {&root, &decoder}) {
    (*part)["decoder_start_token_id"] = config.decoder_start_token_id;
    (*part)["bos_token_id"] = config.bos_token_id;
    (*part)["eos_token_id"] = config.eos_token_id;
    (*part)["pad_token_id"] = config.pad_token_id;
  }
  root["encoder"] = std::move(encoder);
  root["decoder"] = std::move(decoder);
  root["torch_dtype"] = dtype;
  return root;
}

ordered_json generation_config_json(const VisionEncoderDecoderConfig& config) {
  return {{"bos_token_id", config.bos_token_id},
          {"eos_token_id", config.eos_token_id},
          {"pad_token_id", config.pad_token_id},
          {"decoder_start_token_id", config.decoder_start_token_id},
          {"max_length", 50},
          {"num_beams", 1},
          {"do_sample", false}};
}

}  // namespace capstan
