// The two halves joined, with their state under the published names.
#include "capstan/models/vision_encoder_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/models/adapters.h"
#include "capstan/models/registry.h"
#include "models/loading.h"
#include "models/weights.h"

namespace capstan {

ModelEntry vision_encoder_decoder_model() {
  return {.name = "vision-encoder-decoder",
          .summary = "captioner: vision encoder and language decoder (transformers' VisionEncoderDecoderModel)"};
}

void VisionEncoderDecoderConfig::check(std::vector<std::string>& problems) const {
  encoder.check(problems);
  decoder.check(problems);
  if (!decoder.add_cross_attention)
    problems.push_back("decoder.add_cross_attention is false, so the text could not see the picture; expected true");
  const auto check_id = [&](const char* key, std::int64_t id) {
    if (id < 0 || id >= decoder.vocab_size)
      problems.push_back(fmt::format("{} {} is not in the vocabulary of {} tokens", key, id, decoder.vocab_size));
  };
  check_id("decoder_start_token_id", decoder_start_token_id);
  check_id("bos_token_id", bos_token_id);
  check_id("eos_token_id", eos_token_id);
  check_id("pad_token_id", pad_token_id);
}

VisionEncoderDecoder::VisionEncoderDecoder(const VisionEncoderDecoderConfig& config) : config_(config) {
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty()) throw ConfigError("the model cannot be built: " + join(problems, "; "));
  encoder_ = register_module("encoder", make_vision_encoder(config.encoder));
  decoder_ = register_module("decoder", std::make_shared<Gpt2>(config.decoder));
  if (config.encoder.hidden_size != config.decoder.n_embd)
    enc_to_dec_proj_ = register_module("enc_to_dec_proj", Linear(config.encoder.hidden_size, config.decoder.n_embd));
}

at::Tensor VisionEncoderDecoder::encode(const at::Tensor& pixel_values_BCHW, bool interpolate) {
  const at::Tensor hidden_BSD = encoder_->forward(pixel_values_BCHW, interpolate);
  return enc_to_dec_proj_.is_empty() ? hidden_BSD : enc_to_dec_proj_->forward(hidden_BSD);
}

at::Tensor VisionEncoderDecoder::decode(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD,
                                        Gpt2Cache* cache) {
  return lm_head(decode_hidden(input_ids_BT, encoder_hidden_BSD, cache));
}

at::Tensor VisionEncoderDecoder::decode_hidden(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD,
                                               Gpt2Cache* cache) {
  return decoder_->forward(input_ids_BT, encoder_hidden_BSD, cache);
}

at::Tensor VisionEncoderDecoder::lm_head(const at::Tensor& hidden) { return decoder_->lm_head(hidden); }

void VisionEncoderDecoder::set_gradient_checkpointing(bool on) {
  encoder_->set_gradient_checkpointing(on);
  decoder_->set_gradient_checkpointing(on);
}

void VisionEncoderDecoder::set_drop_path_rate(double encoder_rate, double decoder_rate) {
  encoder_->set_drop_path_rate(encoder_rate);
  decoder_->set_drop_path_rate(decoder_rate);
  config_.encoder.drop_path_rate = encoder_rate;
  config_.decoder.drop_path_rate = decoder_rate;
}

void VisionEncoderDecoder::set_attn_implementation(std::string_view name) {
  encoder_->set_attn_implementation(name);
  decoder_->set_attn_implementation(name);
  config_.encoder.attn_implementation = config_.decoder.attn_implementation = name;
}

void VisionEncoderDecoder::set_image_size(int image_size) {
  encoder_->set_image_size(image_size);
  config_.encoder.image_size = image_size;
}

TensorMap VisionEncoderDecoder::state() const {
  TensorMap result;
  for (const auto& item : named_parameters())
    if (!is_adapter_parameter(item.key())) result.emplace(item.key(), item.value().detach());
  for (const auto& item : named_buffers()) result.emplace(item.key(), item.value().detach());
  return result;
}

void VisionEncoderDecoder::load_state(const TensorMap& tensors, LoadReport* report) {
  copy_weights(*this, tensors, report);
}

std::shared_ptr<VisionEncoderDecoder> create_model(const VisionEncoderDecoderConfig& config, std::uint64_t seed) {
  auto model = std::make_shared<VisionEncoderDecoder>(config);
  const TensorMap state = model->state();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  init_weights(state, names, config, seed);
  return model;
}

at::Tensor shift_tokens_right(const at::Tensor& labels_BT, std::int64_t pad_token_id,
                              std::int64_t decoder_start_token_id) {
  const at::Tensor start_B1 = at::full_like(labels_BT.narrow(1, 0, 1), decoder_start_token_id);
  const at::Tensor shifted_BT = at::cat({start_B1, labels_BT.narrow(1, 0, labels_BT.size(1) - 1)}, 1);
  return shifted_BT.masked_fill(shifted_BT.eq(-100), pad_token_id);
}

}  // namespace capstan
