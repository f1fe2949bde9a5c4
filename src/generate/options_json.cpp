// generation_config.json, read the way transformers' generate() does and written for it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/generate/options.h"
#include "capstan/models/pretrained.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

// What transformers generates when no file says how much.
constexpr int kDefaultNewTokens = 20;

// Fields with rules of their own; the visitors below pass them by.
bool is_length(std::string_view key) {
  return key == "max_new_tokens" || key == "max_length" || key == "min_new_tokens" || key == "min_length";
}

const json* find_value(const json& values, const char* key) {
  const auto found = values.find(key);
  return found == values.end() || found->is_null() ? nullptr : &*found;
}

std::optional<int> read_count(const json& values, const char* key, std::int64_t min, std::string_view name) {
  const json* const found = find_value(values, key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number_integer() || found->get<std::int64_t>() < min || found->get<std::int64_t>() > 1'000'000)
    throw CheckpointError(
        fmt::format("{}: {} is {}, expected an integer of at least {}", name, key, found->dump(), min));
  return found->get<int>();
}

// Most new tokens, by one file; max_length counts the start token.
std::optional<int> read_length(const json& values, std::string_view name) {
  const auto new_tokens = read_count(values, "max_new_tokens", 1, name);
  const auto length = read_count(values, "max_length", 2, name);
  if (new_tokens) return new_tokens;
  return length ? std::optional(*length - 1) : std::nullopt;
}

std::int64_t read_id(const json& value, const char* key, std::string_view name) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffff)
    throw CheckpointError(fmt::format("{}: {} is {}, expected a token id", name, key, value.dump()));
  return value.get<std::int64_t>();
}

// An id of generation_config.json replaces the model's.
void merge_id(const json& values, const char* key, std::string_view name, std::int64_t& id) {
  const json* const found = find_value(values, key);
  if (found == nullptr) return;
  if (found->is_array() && found->size() != 1)
    throw UnsupportedError(fmt::format("{}: {} is {}; expected one id", name, key, found->dump()));
  id = read_id(found->is_array() ? found->front() : *found, key, name);
}

void merge_eos_ids(const json& values, std::string_view name, GenerationConfig& config) {
  const json* const found = find_value(values, "eos_token_id");
  if (found == nullptr) return;
  const json list = found->is_array() ? *found : json::array({*found});
  if (list.empty()) throw CheckpointError(fmt::format("{}: eos_token_id is [], expected a token id", name));
  config.eos_token_id = read_id(list.front(), "eos_token_id", name);
  config.other_eos_token_ids.clear();
  for (std::size_t i = 1; i < list.size(); ++i)
    config.other_eos_token_ids.push_back(read_id(list[i], "eos_token_id", name));
}

// Sets the fields that the object has, by their names.
class Merger {
 public:
  Merger(const json& values, std::string_view name) : values_(values), name_(name) {}

  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& limits = {}) {
    const json* const found = find_value(values_, key);
    if (found == nullptr || is_length(key)) return;
    key_ = key;
    read(*found, value, limits);
  }

 private:
  [[noreturn]] void refuse(const json& found, const std::string& expected) const {
    throw CheckpointError(fmt::format("{}: {} is {}, expected {}", name_, key_, found.dump(), expected));
  }
  void check_range(const json& found, double value, const Limits& limits) const {
    if (limits.above_min ? value <= limits.min : value < limits.min)
      refuse(found, fmt::format("{} {}", limits.above_min ? "more than" : "at least", limits.min));
    if (value > limits.max) refuse(found, fmt::format("at most {}", limits.max));
  }

  void read(const json& found, bool& value, const Limits&) const {
    if (!found.is_boolean()) refuse(found, "true or false");
    value = found.get<bool>();
  }
  void read(const json& found, std::int64_t& value, const Limits& limits) const {
    if (!found.is_number_integer() || found.get<double>() > 0x7fffffff) refuse(found, "an integer");
    check_range(found, found.get<double>(), limits);
    value = found.get<std::int64_t>();
  }
  void read(const json& found, int& value, const Limits& limits) const {
    std::int64_t wide = value;
    read(found, wide, limits);
    value = static_cast<int>(wide);
  }
  void read(const json& found, double& value, const Limits& limits) const {
    if (!found.is_number()) refuse(found, "a number");
    check_range(found, found.get<double>(), limits);
    value = found.get<double>();
  }
  // early_stopping is true, false or "never" there.
  void read(const json& found, std::string& value, const Limits& limits) const {
    const std::string text = found.is_string() ? found.get<std::string>() : found.dump();
    if (limits.choices.empty() ? !found.is_string()
                               : std::find(limits.choices.begin(), limits.choices.end(), text) == limits.choices.end())
      refuse(found, limits.choices.empty() ? "text" : fmt::format("{}", fmt::join(limits.choices, ", ")));
    value = text;
  }
  template <class T>
  void read(const json& found, std::optional<T>& value, const Limits& limits) const {
    T inner{};
    read(found, inner, limits);
    value = std::move(inner);
  }
  // One value may stand for a list of one; not where the items are lists themselves.
  template <class T>
  void read(const json& found, std::vector<T>& value, const Limits& limits) const {
    constexpr bool kNested = requires(T item) { item.push_back({}); } && !std::is_same_v<T, std::string>;
    if (kNested && !found.is_array()) refuse(found, "a list of lists");
    value.clear();
    for (const json& item : found.is_array() ? found : json::array({found})) {
      T inner{};
      if (kNested && !item.is_array()) refuse(found, "a list of lists");
      read(item, inner, limits);
      value.push_back(std::move(inner));
    }
  }

  const json& values_;
  std::string_view name_;
  const char* key_ = "";
};

// Fields as JSON, for comparison and for the file.
struct Writer {
  ordered_json values = ordered_json::object();

  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& = {}) {
    values[key] = value;
  }
  void operator()(const char* key, std::string& value, const char*, const Limits& = {}) {
    if (value == "true" || value == "false")
      values[key] = value == "true";
    else
      values[key] = value;
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& value, const char*, const Limits& = {}) {
    values[key] = value ? ordered_json(*value) : ordered_json();
  }
};

ordered_json fields_of(GenerationConfig config) {
  Writer writer;
  config.fields(writer);
  return writer.values;
}

// Settings of transformers that would change the captions and that there is nothing for here.
void warn_about_others(const json& values, std::string_view name) {
  const json neutral{{"num_beam_groups", 1},
                     {"diversity_penalty", 0.0},
                     {"typical_p", 1.0},
                     {"top_h", nullptr},
                     {"epsilon_cutoff", 0.0},
                     {"eta_cutoff", 0.0},
                     {"penalty_alpha", nullptr},
                     {"encoder_repetition_penalty", 1.0},
                     {"encoder_no_repeat_ngram_size", 0},
                     {"exponential_decay_length_penalty", nullptr},
                     {"sequence_bias", nullptr},
                     {"guidance_scale", 1.0},
                     {"renormalize_logits", false},
                     {"max_time", nullptr},
                     {"watermarking_config", nullptr},
                     {"force_words_ids", nullptr},
                     {"constraints", nullptr}};
  for (const auto& [key, value] : neutral.items()) {
    const json* const found = find_value(values, key.c_str());
    if (found != nullptr && *found != value)
      log_warning(fmt::format("{}: {} = {} is not supported and has no effect", name, key, found->dump()));
  }
}

json read_object(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  json values = read_json(path);
  if (!values.is_object()) throw CheckpointError(path.string() + ": expected a JSON object");
  return values;
}

}  // namespace

void merge_generation_config(GenerationConfig& config, const json& values, std::string_view name) {
  if (!values.is_object()) throw CheckpointError(fmt::format("{}: expected a JSON object", name));
  merge_eos_ids(values, name, config);
  merge_id(values, "decoder_start_token_id", name, config.decoder_start_token_id);
  merge_id(values, "pad_token_id", name, config.pad_token_id);
  Merger merger(values, name);
  config.fields(merger);
  if (const auto length = read_length(values, name)) {
    config.max_new_tokens = *length;
    config.max_length = 0;
  }
  const auto min_length = read_count(values, "min_length", 0, name);
  const auto min_new_tokens = read_count(values, "min_new_tokens", 0, name);
  if (min_length || min_new_tokens) {
    config.min_new_tokens = min_new_tokens.value_or(0);
    config.min_length = min_new_tokens ? 0 : *min_length;
  }
  warn_about_others(values, name);
}

GenerationConfig read_generation_config(const fs::path& directory) {
  const VisionEncoderDecoderConfig model = read_model_config(directory);
  GenerationConfig config;
  config.decoder_start_token_id = model.decoder_start_token_id;
  config.eos_token_id = model.eos_token_id;
  config.pad_token_id = model.pad_token_id;
  config.bos_token_id = model.bos_token_id;

  const fs::path generation_path = directory / "generation_config.json", model_path = directory / "config.json";
  const json generation_values = read_object(generation_path), model_values = read_object(model_path);
  config.max_new_tokens = read_length(model_values, model_path.string()).value_or(kDefaultNewTokens);
  merge_generation_config(config, generation_values, generation_path.string());
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty()) throw CheckpointError(fmt::format("{}: {}", generation_path.string(), problems.front()));
  return config;
}

void save_generation_config(const GenerationConfig& config, const fs::path& directory) {
  const auto ids = config.eos_token_ids();
  ordered_json values{{"bos_token_id", config.bos_token_id},
                      {"eos_token_id", ids.size() == 1 ? ordered_json(ids.front()) : ordered_json(ids)},
                      {"pad_token_id", config.pad_token_id},
                      {"decoder_start_token_id", config.decoder_start_token_id},
                      {"max_length", config.longest() + 1},
                      {"num_beams", config.num_beams},
                      {"do_sample", config.do_sample}};
  const ordered_json own = fields_of(config), defaults = fields_of(GenerationConfig{});
  for (const auto& [key, value] : own.items())
    if (key != "max_new_tokens" && key != "max_length" && key != "seed" && value != defaults[key]) values[key] = value;
  write_json(directory / "generation_config.json", values);
}

}  // namespace capstan
