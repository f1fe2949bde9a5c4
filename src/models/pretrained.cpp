// Model folders: config.json, generation_config.json and weights.
#include "capstan/models/pretrained.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "models/hf_config.h"
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
      const json& value = source[key].is_array() && source[key].size() == 1 ? source[key][0] : source[key];
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

// Puts the folder's name before what load_state has to say.
void load_state_of(VisionEncoderDecoder& model, const TensorMap& tensors, const std::string& where,
                   LoadReport& report) {
  try {
    model.load_state(tensors, &report);
  } catch (const CheckpointError& error) {
    throw CheckpointError(where + ": " + error.what());
  }
}

void add_part(TensorMap& all, const fs::path& directory, std::string_view strip, std::string_view add,
              std::string_view unless = {}) {
  for (const auto& [name, tensor] : read_pretrained_tensors(directory)) {
    std::string key = name;
    if (key.starts_with(strip)) key.erase(0, strip.size());
    const bool outside = !unless.empty() && key.starts_with(unless);
    all.emplace((outside ? "decoder." : std::string(add)) + key, tensor);
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
  config.encoder = read_vit_config(root["encoder"], where + ": encoder");
  config.decoder = read_gpt2_config(root["decoder"], where + ": decoder");
  TokenIds(directory, root).fill(config);
  check_config(config, directory);
  return config;
}

std::shared_ptr<VisionEncoderDecoder> load_pretrained(const fs::path& directory) {
  const VisionEncoderDecoderConfig config = read_model_config(directory);
  const TensorMap tensors = read_pretrained_tensors(directory);
  auto model = std::make_shared<VisionEncoderDecoder>(config);
  LoadReport report;
  load_state_of(*model, tensors, directory.string(), report);
  if (!report.newly_initialized.empty())
    throw CheckpointError(fmt::format("{}: {}. The file is incomplete or of another model.", directory.string(),
                                      name_list(report.newly_initialized, "are missing")));
  if (!report.unexpected.empty())
    log_warning(fmt::format("{}: {}", directory.string(), name_list(report.unexpected, "have no use in this model")));
  return model;
}

std::shared_ptr<VisionEncoderDecoder> load_encoder_decoder(const fs::path& encoder, const fs::path& decoder,
                                                           std::uint64_t seed, LoadReport* report) {
  VisionEncoderDecoderConfig config;
  config.encoder = read_vit_config(read_config_file(encoder), (encoder / kConfigFile).string());
  const json decoder_json = read_config_file(decoder);
  config.decoder = read_gpt2_config(decoder_json, (decoder / kConfigFile).string());
  config.decoder.add_cross_attention = true;
  TokenIds(decoder, decoder_json).fill(config);
  check_config(config, decoder);

  TensorMap tensors;
  add_part(tensors, encoder, "vit.", "encoder.");
  add_part(tensors, decoder, "transformer.", "decoder.transformer.", "lm_head.");
  auto model = std::make_shared<VisionEncoderDecoder>(config);
  LoadReport found;
  load_state_of(*model, tensors, fmt::format("{} and {}", encoder.string(), decoder.string()), found);
  std::vector<std::string> missing;
  for (const std::string& name : found.newly_initialized)
    if (!may_start_fresh(name)) missing.push_back(name);
  if (!missing.empty())
    throw CheckpointError(fmt::format("{} and {}: {}. A file is incomplete or of another model.", encoder.string(),
                                      decoder.string(), name_list(missing, "are missing")));
  init_weights(model->state(), found.newly_initialized, config, seed);
  if (report != nullptr) *report = std::move(found);
  return model;
}

void save_config(const VisionEncoderDecoderConfig& config, const std::string& dtype, const fs::path& directory) {
  write_json(directory / kConfigFile, config_json(config, dtype));
}

void save_pretrained(const VisionEncoderDecoder& model, const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw CheckpointError(fmt::format("{}: cannot be created ({}).", directory.string(), error.message()));
  const TensorMap state = model.state();
  const std::string dtype = dtype_name(state.at("decoder.transformer.wte.weight").scalar_type());
  write_safetensors(directory / "model.safetensors", state);
  write_json(directory / kGenerationFile, generation_config_json(model.config()));
  save_config(model.config(), dtype, directory);
}

}  // namespace capstan
