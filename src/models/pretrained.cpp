// Model folders: config.json, generation_config.json and weights.
#include "capstan/models/pretrained.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/nn/placeholder.h"
#include "models/hf_config.h"
#include "models/loading.h"
#include "models/weights.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kConfigFile = "config.json";
constexpr const char* kGenerationFile = "generation_config.json";

json read_config_file(const fs::path& directory) {
  if (!fs::is_directory(directory))
    throw CheckpointError(
        fmt::format("{}: no such folder; expected a model folder as transformers' save_pretrained "
                    "or a training run writes it.",
                    directory.string()));
  if (!fs::exists(directory / kConfigFile))
    throw CheckpointError(
        fmt::format("{}: has no {}; a model folder needs one beside its weights. "
                    "Name the folder itself, or copy the file into it.",
                    directory.string(), kConfigFile));
  return read_json(directory / kConfigFile);
}

std::string model_type(const json& config) {
  const auto found = config.is_object() ? config.find("model_type") : config.end();
  return config.is_object() && found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

// Token ids by falling authority: config.json, generation_config.json, the decoder's part.
class TokenIds {
 public:
  TokenIds(const fs::path& directory, const json& config) : where_(directory.string()) {
    sources_.push_back(config);
    if (fs::exists(directory / kGenerationFile)) sources_.push_back(read_json(directory / kGenerationFile));
    if (config.contains("decoder")) sources_.push_back(config["decoder"]);
  }

  std::optional<std::int64_t> find(const char* key) const {
    for (const json& source : sources_) {
      if (!source.is_object() || !source.contains(key) || source[key].is_null()) continue;
      // Several ids may end a text; the first is the one that it is trained with.
      const bool one = source[key].is_array() && !source[key].empty() &&
                       (source[key].size() == 1 || key == std::string_view("eos_token_id"));
      const json& value = one ? source[key][0] : source[key];
      if (value.is_array())
        throw UnsupportedError(fmt::format("{}: {} is a list; this version takes one id.", where_, key));
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffff)
        throw CheckpointError(
            fmt::format("{}: {} is {}; expected a token id.", where_, key, value.dump(-1, ' ', true)));
      return value.get<std::int64_t>();
    }
    return std::nullopt;
  }

  void fill(VisionEncoderDecoderConfig& config) const {
    const auto eos = find("eos_token_id");
    if (!eos.has_value())
      throw CheckpointError(fmt::format("{}: eos_token_id is in neither {} nor {}; add the id that ends a text.",
                                        where_, kConfigFile, kGenerationFile));
    config.eos_token_id = *eos;
    config.bos_token_id = find("bos_token_id").value_or(*eos);
    config.pad_token_id = find("pad_token_id").value_or(*eos);
    config.decoder_start_token_id = find("decoder_start_token_id").value_or(config.bos_token_id);
  }

 private:
  std::string where_;
  std::vector<json> sources_;
};

void check_config(const VisionEncoderDecoderConfig& config, const fs::path& directory) {
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty())
    throw CheckpointError(fmt::format("{}: {}. Correct {}.", directory.string(), join(problems, "; "), kConfigFile));
}

// A model whose weights have shapes but no memory yet. Its normalisations do take memory, so a file that could not
// even fill those is refused before.
std::shared_ptr<VisionEncoderDecoder> outline(const VisionEncoderDecoderConfig& config, const TensorMap& tensors,
                                              const std::string& where) {
  std::int64_t held = 0;
  for (const auto& [name, tensor] : tensors) held += std::min<std::int64_t>(tensor.numel(), std::int64_t{1} << 40);
  const std::int64_t least = std::int64_t{config.encoder.num_hidden_layers} * config.encoder.hidden_size +
                             std::int64_t{config.decoder.n_layer} * config.decoder.n_embd;
  if (held < least)
    throw CheckpointError(
        fmt::format("{}: the weights hold {} numbers; {} asks for more than {}. Use the weights and "
                    "the config.json of the same model.",
                    where, held, kConfigFile, least));
  const PlaceholderWeights placeholders;
  return std::make_shared<VisionEncoderDecoder>(config);
}

// Puts the folder's name before what is said about its weights.
TensorMap tensors_for(const VisionEncoderDecoderConfig& config, const TensorMap& tensors, const std::string& where) {
  try {
    return model_tensors(tensors, config);
  } catch (const CheckpointError& error) {
    throw CheckpointError(where + ": " + error.what());
  }
}

void refuse(const LoadReport& report, const std::vector<std::string>& missing, const LoadOptions& options,
            const std::string& where) {
  if (!report.mismatched.empty() && !options.ignore_mismatched_sizes)
    throw CheckpointError(
        fmt::format("{}: {}. Use the weights and the config.json of the same model, or load with "
                    "ignore_mismatched_sizes to start these fresh.",
                    where, mismatch_text(report.mismatched)));
  if (!missing.empty() && !options.initialize_missing)
    throw CheckpointError(
        fmt::format("{}: {}. The file is incomplete or of another model.", where, name_list(missing, "are missing")));
}

c10::ScalarType stored_dtype(const TensorMap& tensors) {
  const auto embedding = tensors.find("decoder.transformer.wte.weight");
  const bool usable = embedding != tensors.end() && embedding->second.is_floating_point();
  return usable ? embedding->second.scalar_type() : c10::ScalarType::Float;
}

// The model of `tensors`, and in `report` what happened. Nothing takes memory before everything was found to fit.
std::shared_ptr<VisionEncoderDecoder> open_model(const VisionEncoderDecoderConfig& config, TensorMap tensors,
                                                 const LoadOptions& options, const std::string& where,
                                                 bool (*may_start_fresh)(const std::string&), LoadReport& report) {
  const auto model = outline(config, tensors, where);
  const WeightSlots slots = weight_slots(*model);
  tensors = tensors_for(config, tensors, where);
  report = match_weights(slots, tensors);
  std::vector<std::string> missing, fresh = report.newly_initialized;
  for (const std::string& name : report.newly_initialized)
    if (!may_start_fresh(name)) missing.push_back(name);
  refuse(report, missing, options, where);
  for (const MismatchedWeight& weight : report.mismatched)
    if (!slots.at(weight.name).optional) fresh.push_back(weight.name);
  const c10::ScalarType dtype = options.dtype.value_or(stored_dtype(tensors));
  adopt_weights(slots, std::move(tensors), dtype);
  init_weights(model->state(), fresh, config, options.seed);
  return model;
}

void add_part(TensorMap& all, const fs::path& directory, const std::string& part) {
  for (auto& [name, tensor] : read_pretrained_tensors(directory)) {
    // GPT2Model has no name for itself; where a language model has its own parts they stand beside it.
    const bool bare = part == "decoder." && !name.starts_with("transformer.") && !name.starts_with("lm_head.");
    all.emplace(part + (bare ? "transformer." : "") + name, tensor);
  }
}

// What a separate decoder cannot bring: its attention to pictures, and the projection between the widths.
bool may_start_fresh(const std::string& name) {
  return name.find(".crossattention.") != std::string::npos || name.find(".ln_cross_attn.") != std::string::npos ||
         name.starts_with("enc_to_dec_proj.");
}

}  // namespace

VisionEncoderDecoderConfig read_model_config(const fs::path& directory) {
  const json root = read_config_file(directory);
  const std::string where = (directory / kConfigFile).string();
  if (model_type(root) != "vision-encoder-decoder")
    throw UnsupportedError(
        fmt::format("{}: model_type is '{}'; expected 'vision-encoder-decoder'. Join a vision and a "
                    "language model first by giving both folders.",
                    where, model_type(root)));
  for (const char* part : {"encoder", "decoder"})
    if (!root.contains(part))
      throw CheckpointError(fmt::format("{}: has no '{}'; expected the configuration of that part.", where, part));
  if (root.contains("quantization_config") && !root["quantization_config"].is_null())
    throw UnsupportedError(where + ": quantization_config is set; this version reads float weights only.");
  VisionEncoderDecoderConfig config;
  config.encoder = read_vision_config(root["encoder"], where + ": encoder");
  config.decoder = read_gpt2_config(root["decoder"], where + ": decoder");
  TokenIds(directory, root).fill(config);
  check_config(config, directory);
  return config;
}

std::shared_ptr<VisionEncoderDecoder> load_pretrained(const fs::path& directory, const LoadOptions& options,
                                                      LoadReport* report) {
  LoadReport found;
  const auto strict = [](const std::string&) { return false; };
  const VisionEncoderDecoderConfig config = read_model_config(directory);  // first: its absence says most
  auto model = open_model(config, read_pretrained_tensors(directory), options, directory.string(), strict, found);
  if (!found.empty()) log_warning(fmt::format("{}: {}", directory.string(), trim(report_text(found))));
  if (report != nullptr) *report = std::move(found);
  return model;
}

std::shared_ptr<VisionEncoderDecoder> load_encoder_decoder(const fs::path& encoder, const fs::path& decoder,
                                                           std::uint64_t seed, LoadReport* report,
                                                           LoadOptions options) {
  VisionEncoderDecoderConfig config;
  config.encoder = read_vision_config(read_config_file(encoder), (encoder / kConfigFile).string());
  const json decoder_json = read_config_file(decoder);
  config.decoder = read_gpt2_config(decoder_json, (decoder / kConfigFile).string());
  config.decoder.add_cross_attention = true;
  TokenIds(decoder, decoder_json).fill(config);
  check_config(config, decoder);

  TensorMap tensors;
  add_part(tensors, encoder, "encoder.");
  add_part(tensors, decoder, "decoder.");
  options.seed = seed;
  LoadReport found;
  auto model = open_model(config, std::move(tensors), options,
                          fmt::format("{} and {}", encoder.string(), decoder.string()), may_start_fresh, found);
  if (report != nullptr) *report = std::move(found);
  return model;
}

LoadReport check_pretrained(const fs::path& directory) {
  const VisionEncoderDecoderConfig config = read_model_config(directory);
  const std::string where = directory.string();
  const TensorMap tensors = tensors_for(config, read_pretrained_tensors(directory), where);
  return match_weights(weight_slots(*outline(config, tensors, where)), tensors);
}

void save_config(const VisionEncoderDecoderConfig& config, const std::string& dtype, const fs::path& directory) {
  write_json(directory / kConfigFile, config_json(config, dtype));
}

void save_pretrained(const VisionEncoderDecoder& model, const fs::path& directory,
                     std::optional<c10::ScalarType> dtype) {
  save_pretrained(model.config(), model.state(), directory, dtype);
}

void save_pretrained(const VisionEncoderDecoderConfig& config, const TensorMap& state, const fs::path& directory,
                     std::optional<c10::ScalarType> dtype) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw CheckpointError(fmt::format("{}: cannot be created ({}).", directory.string(), error.message()));
  const c10::ScalarType written = dtype.value_or(state.at("decoder.transformer.wte.weight").scalar_type());
  write_safetensors(directory / "model.safetensors", state, {}, dtype);
  write_json(directory / kGenerationFile, generation_config_json(config));
  save_config(config, dtype_name(written), directory);
}

}  // namespace capstan
