// Reads and writes each field through the structs' own descriptions; keys that would change numbers are refused.
#include "models/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

// Fills fields from the keys of a JSON object that carry their names.
class JsonReader {
 public:
  JsonReader(const json& object, const std::string& where) : object_(object), where_(where) {}

  void operator()(const char* key, int& value, const char*, const Limits& limits = {}) const {
    if (const json* found = find(key)) {
      if (!found->is_number_integer()) fail(key, *found, "a whole number");
      const auto number = found->get<double>();
      check(key, *found, number, limits);
      value = static_cast<int>(number);
    }
  }
  void operator()(const char* key, double& value, const char*, const Limits& limits = {}) const {
    if (const json* found = find(key)) {
      if (!found->is_number()) fail(key, *found, "a number");
      check(key, *found, found->get<double>(), limits);
      value = found->get<double>();
    }
  }
  void operator()(const char* key, bool& value, const char*, const Limits& = {}) const {
    if (const json* found = find(key)) {
      if (!found->is_boolean()) fail(key, *found, "true or false");
      value = found->get<bool>();
    }
  }
  void operator()(const char* key, std::string& value, const char*, const Limits& limits = {}) const {
    if (const json* found = find(key)) {
      if (!found->is_string()) fail(key, *found, "a string");
      value = found->get<std::string>();
      const auto& choices = limits.choices;
      if (!choices.empty() && std::ranges::find(choices, value) == choices.end())
        throw UnsupportedError(
            fmt::format("{}: {} is {}; this version computes {}.", where_, key, shown(*found), join(choices, ", ")));
    }
  }

 private:
  const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  [[noreturn]] void fail(const char* key, const json& value, const std::string& expected) const {
    throw CheckpointError(fmt::format("{}: {} is {}; expected {}.", where_, key, shown(value), expected));
  }

  void check(const char* key, const json& value, double number, const Limits& limits) const {
    const double least = std::max(limits.min, -2147483648.0);
    const double most = std::min(limits.max, 2147483647.0);
    if (!(number >= least && number <= most) || (limits.above_min && number <= limits.min))
      fail(key, value, fmt::format("{} {} and at most {}", limits.above_min ? "above" : "at least", least, most));
  }

  const json& object_;
  const std::string& where_;
};

struct JsonWriter {
  ordered_json& object;
  template <class Value>
  void operator()(const char* key, const Value& value, const char*, const Limits& = {}) {
    object[key] = value;
  }
};

// Keys whose only supported value is given; anything else would change the numbers silently.
void require(const json& object, const std::string& where,
             std::initializer_list<std::pair<const char*, json>> supported) {
  for (const auto& [key, value] : supported) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null() || *found == value) continue;
    throw UnsupportedError(
        fmt::format("{}: {} is {}; this version computes only {}.", where, key, shown(*found), shown(value)));
  }
}

void require_model_type(const json& object, const std::string& where, const char* expected) {
  if (!object.is_object())
    throw CheckpointError(fmt::format("{}: expected an object, found {}.", where, shown(object)));
  const auto found = object.find("model_type");
  if (found == object.end() || !found->is_string())
    throw CheckpointError(fmt::format("{}: has no model_type; expected \"{}\".", where, expected));
  if (*found != expected)
    throw UnsupportedError(fmt::format("{}: model_type is {}; expected \"{}\".", where, shown(*found), expected));
}

// transformers writes sizes as a number or as [height, width].
json square(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) return nullptr;
  if (!found->is_array()) return *found;
  if (found->size() != 2 || (*found)[0] != (*found)[1])
    throw UnsupportedError(
        fmt::format("{}: {} is {}; this version takes square sizes only.", where, key, shown(*found)));
  return (*found)[0];
}

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

VitConfig read_vit_config(const json& object, const std::string& where) {
  require_model_type(object, where, "vit");
  VitConfig config;
  json plain = object;
  plain["image_size"] = square(object, "image_size", where);
  plain["patch_size"] = square(object, "patch_size", where);
  const JsonReader reader(plain, where);
  config.fields(reader);
  require(object, where,
          {{"pooler_act", "tanh"},
           {"pooler_output_size", config.hidden_size},
           {"head_dim", config.num_attention_heads > 0 ? config.hidden_size / config.num_attention_heads : 0},
           {"pruned_heads", json::object()},
           {"quantization_config", nullptr}});
  return config;
}

Gpt2Config read_gpt2_config(const json& object, const std::string& where) {
  require_model_type(object, where, "gpt2");
  Gpt2Config config;
  config.n_layer = 12;  // transformers' default where the key is absent
  const json plain = with_gpt2_names(object);
  config.add_cross_attention = false;
  const JsonReader reader(plain, where);
  config.fields(reader);
  require(object, where,
          {{"scale_attn_weights", true},
           {"scale_attn_by_inverse_layer_idx", false},
           {"reorder_and_upcast_attn", false},
           {"cross_attention_hidden_size", nullptr},
           {"pruned_heads", json::object()},
           {"quantization_config", nullptr}});
  return config;
}

ordered_json config_json(const VisionEncoderDecoderConfig& config, const std::string& dtype) {
  ordered_json encoder{{"model_type", "vit"}};
  VitConfig vit = config.encoder;
  JsonWriter encoder_writer{encoder};
  vit.fields(encoder_writer);
  encoder["pooler_act"] = "tanh";
  encoder["pooler_output_size"] = vit.hidden_size;

  ordered_json decoder{{"model_type", "gpt2"}};
  Gpt2Config gpt2 = config.decoder;
  JsonWriter decoder_writer{decoder};
  gpt2.fields(decoder_writer);
  if (gpt2.n_inner == 0) decoder.erase("n_inner");  // a null here confuses Transformers.js
  decoder["n_ctx"] = gpt2.n_positions;
  decoder["is_decoder"] = true;
  decoder["use_cache"] = true;

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
