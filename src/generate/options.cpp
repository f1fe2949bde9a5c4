// Generation settings of a model folder, read the way transformers' generate() does.
#include "capstan/generate/options.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/models/pretrained.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

// What transformers generates when no file says how much.
constexpr int kDefaultNewTokens = 20;

std::optional<std::int64_t> read_count(const nlohmann::json& values, const char* key, std::int64_t min,
                                       const fs::path& path) {
  const auto found = values.find(key);
  if (found == values.end() || found->is_null()) return std::nullopt;
  if (!found->is_number_integer() || found->get<std::int64_t>() < min || found->get<std::int64_t>() > 1'000'000)
    throw CheckpointError(
        fmt::format("{}: {} is {}, expected an integer of at least {}", path.string(), key, found->dump(), min));
  return found->get<std::int64_t>();
}

// Most new tokens, by one file; max_length counts the start token.
std::optional<std::int64_t> read_length(const nlohmann::json& values, const fs::path& path) {
  const auto new_tokens = read_count(values, "max_new_tokens", 1, path);
  const auto length = read_count(values, "max_length", 2, path);
  if (new_tokens) return new_tokens;
  return length ? std::optional(*length - 1) : std::nullopt;
}

// Settings that would change the captions and that greedy search does not carry out.
void warn_about_ignored(const nlohmann::json& values, const fs::path& path) {
  const auto warn = [&](const char* key, const nlohmann::json& neutral) {
    const auto found = values.find(key);
    if (found != values.end() && !found->is_null() && *found != neutral)
      log_warning(
          fmt::format("{}: {} = {} is ignored, captions are drawn greedily", path.string(), key, found->dump()));
  };
  warn("num_beams", 1);
  warn("do_sample", false);
  warn("repetition_penalty", 1.0);
  warn("no_repeat_ngram_size", 0);
  warn("min_length", 0);
  warn("min_new_tokens", 0);
  warn("bad_words_ids", nullptr);
  warn("forced_bos_token_id", nullptr);
}

// An id of generation_config.json replaces the model's.
void read_id(const nlohmann::json& values, const char* key, const fs::path& path, std::int64_t& id) {
  const auto found = values.find(key);
  if (found == values.end() || found->is_null()) return;
  if (found->is_array() && found->size() != 1)
    throw UnsupportedError(fmt::format("{}: {} is {}; this version takes one id", path.string(), key, found->dump()));
  const nlohmann::json& value = found->is_array() ? found->front() : *found;
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffff)
    throw CheckpointError(fmt::format("{}: {} is {}, expected a token id", path.string(), key, value.dump()));
  id = value.get<std::int64_t>();
}

nlohmann::json read_object(const fs::path& path) {
  if (!fs::exists(path)) return nlohmann::json::object();
  nlohmann::json values = read_json(path);
  if (!values.is_object()) throw CheckpointError(path.string() + ": expected a JSON object");
  return values;
}

}  // namespace

GenerationConfig read_generation_config(const fs::path& directory) {
  const VisionEncoderDecoderConfig model = read_model_config(directory);
  GenerationConfig config;
  config.decoder_start_token_id = model.decoder_start_token_id;
  config.eos_token_id = model.eos_token_id;
  config.pad_token_id = model.pad_token_id;
  config.bos_token_id = model.bos_token_id;

  const fs::path generation_path = directory / "generation_config.json", model_path = directory / "config.json";
  const nlohmann::json generation_values = read_object(generation_path), model_values = read_object(model_path);
  read_id(generation_values, "decoder_start_token_id", generation_path, config.decoder_start_token_id);
  read_id(generation_values, "eos_token_id", generation_path, config.eos_token_id);
  read_id(generation_values, "pad_token_id", generation_path, config.pad_token_id);
  warn_about_ignored(generation_values, generation_path);

  std::optional<std::int64_t> length = read_length(generation_values, generation_path);
  if (!length) length = read_length(model_values, model_path);
  config.max_new_tokens = static_cast<int>(length.value_or(kDefaultNewTokens));
  return config;
}

void save_generation_config(const GenerationConfig& config, const fs::path& directory) {
  write_json(directory / "generation_config.json", {{"bos_token_id", config.bos_token_id},
                                                    {"eos_token_id", config.eos_token_id},
                                                    {"pad_token_id", config.pad_token_id},
                                                    {"decoder_start_token_id", config.decoder_start_token_id},
                                                    {"max_length", config.max_new_tokens + 1},
                                                    {"num_beams", 1},
                                                    {"do_sample", false}});
}

}  // namespace capstan
