// Loading or making a model, and what a run changes about it before training.
#include "app/training_model.h"

#include <fmt/format.h>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/random.h"
#include "capstan/core/strings.h"
#include "capstan/models/pretrained.h"

namespace capstan::app {
namespace {

// The tokenizer decides what a fresh decoder reads and how captions end.
VisionEncoderDecoderConfig fresh_config(const ModelSection& section, const Tokenizer& tokenizer,
                                        const ImageProcessorConfig& image) {
  VisionEncoderDecoderConfig config;
  config.encoder = section.encoder;
  config.encoder.image_size = image.size;
  config.decoder = section.decoder;
  config.decoder.vocab_size = static_cast<int>(tokenizer.vocab_size());
  const auto eos = tokenizer.eos_token_id();
  if (!eos) throw DataError("the tokenizer of the cache has no end token; a captioner needs one to stop");
  config.eos_token_id = *eos;
  config.bos_token_id = tokenizer.bos_token_id().value_or(*eos);
  config.pad_token_id = tokenizer.pad_token_id().value_or(*eos);
  config.decoder_start_token_id = config.bos_token_id;
  std::vector<std::string> problems;
  config.encoder.check(problems);
  config.decoder.check(problems);
  if (!problems.empty()) throw ConfigError("model: " + join(problems, "; "));
  return config;
}

void report_new_parameters(const LoadReport& report) {
  if (report.newly_initialized.empty()) return;
  log_info(fmt::format("{} parameters start fresh, they were in neither folder:", report.newly_initialized.size()));
  for (const auto& name : report.newly_initialized) log_info("  " + name);
}

// Loads a model once more under a changed configuration where the run says other dropouts than its folder.
std::shared_ptr<VisionEncoderDecoder> with_dropout(std::shared_ptr<VisionEncoderDecoder> model,
                                                   const DropoutSection& dropout) {
  VisionEncoderDecoderConfig config = model->config();
  bool changed = false;
  const auto set = [&](double& value, const std::optional<double>& wanted) {
    changed = changed || (wanted && *wanted != value);
    value = wanted.value_or(value);
  };
  set(config.encoder.hidden_dropout_prob, dropout.hidden_dropout_prob);
  set(config.encoder.attention_probs_dropout_prob, dropout.attention_probs_dropout_prob);
  set(config.decoder.resid_pdrop, dropout.resid_pdrop);
  set(config.decoder.embd_pdrop, dropout.embd_pdrop);
  set(config.decoder.attn_pdrop, dropout.attn_pdrop);
  if (!changed) return model;
  auto result = std::make_shared<VisionEncoderDecoder>(config);
  result->load_state(model->state());
  return result;
}

TrainingModel make_base(const TrainRun& run, const Tokenizer& tokenizer, const ImageProcessorConfig& image) {
  if (!run.model.from_pretrained.empty()) {
    const auto directory = resolve_model_directory(run.model.from_pretrained);
    return {with_dropout(load_pretrained(directory), run.model.dropout), directory.string()};
  }
  const auto seed = stream_seed(static_cast<std::uint64_t>(run.train.seed), "model");
  if (run.model.encoder_from.empty()) return {create_model(fresh_config(run.model, tokenizer, image), seed), ""};
  LoadReport report;
  auto model = load_encoder_decoder(run.model.encoder_from, run.model.decoder_from, seed, &report);
  report_new_parameters(report);
  return {with_dropout(std::move(model), run.model.dropout), ""};
}

}  // namespace

TrainingModel make_training_model(const TrainRun& run, const Tokenizer& tokenizer, const ImageProcessorConfig& image) {
  TrainingModel result = make_base(run, tokenizer, image);
  VisionEncoderDecoder& model = *result.model;
  const VisionConfig& encoder = run.model.encoder;
  model.set_drop_path_rate(encoder.drop_path_rate, run.model.decoder.drop_path_rate);
  model.encoder().set_attn_implementation(encoder.attn_implementation);
  model.decoder().set_attn_implementation(run.model.decoder.attn_implementation);
  if (encoder.interpolate_pos_encoding && model.config().encoder.image_size != image.size) {
    model.set_image_size(image.size);
    result.base.clear();  // its position table is another one
  }
  if (run.model.lora.r > 0)
    add_adapter(model, run.model.lora, stream_seed(static_cast<std::uint64_t>(run.train.seed), "lora"));
  return result;
}

}  // namespace capstan::app
