// VisionEncoderDecoderModel: a vision encoder, a language decoder with cross-attention, Hugging Face files.
//
// Shapes: B batch, C channels, H height, W width, S image tokens, T text tokens, D hidden size, V vocabulary,
// N attention heads, K head size.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/models/gpt2.h"
#include "capstan/models/load_report.h"
#include "capstan/models/vision.h"
#include "capstan/nn/linear.h"

namespace capstan {

struct VisionEncoderDecoderConfig {
  VisionConfig encoder;
  Gpt2Config decoder;
  std::int64_t decoder_start_token_id = 50256;
  std::int64_t bos_token_id = 50256;
  std::int64_t eos_token_id = 50256;
  std::int64_t pad_token_id = 50256;

  template <class Visitor>
  void fields(Visitor& v) {
    v("encoder", encoder, "The vision encoder.");
    v("decoder", decoder, "The language decoder (GPT-2).");
    v("decoder_start_token_id", decoder_start_token_id, "First input of the decoder.", at_least(0));
    v("bos_token_id", bos_token_id, "Token that begins a text.", at_least(0));
    v("eos_token_id", eos_token_id, "Token that ends a text.", at_least(0));
    v("pad_token_id", pad_token_id, "Token that fills a batch.", at_least(0));
  }
  // Relations between the fields of this struct and of its parts.
  void check(std::vector<std::string>& problems) const;
};

class VisionEncoderDecoder : public torch::nn::Module {
 public:
  // Weights are zeros: create_model or load_pretrained fill them. ConfigError lists what does not fit.
  explicit VisionEncoderDecoder(const VisionEncoderDecoderConfig& config);

  // pixel_values float [B, C, H, W] -> [B, S, D] of the decoder's width (enc_to_dec_proj applied where sizes differ).
  // `interpolate` lets H and W differ from the configured size (transformers' interpolate_pos_encoding).
  at::Tensor encode(const at::Tensor& pixel_values_BCHW, bool interpolate = false);
  // decoder_input_ids int64 [B, T]; hidden states as returned by encode -> logits [B, T, V].
  at::Tensor decode(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD, Gpt2Cache* cache = nullptr);
  // Decoder hidden states before lm_head [B, T, D], for losses that project only real positions.
  at::Tensor decode_hidden(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD,
                           Gpt2Cache* cache = nullptr);
  at::Tensor lm_head(const at::Tensor& hidden);

  // Training and running, for encoder and decoder alike; VisionEncoder and Gpt2 say what each does. They are not part
  // of the saved configuration.
  void set_gradient_checkpointing(bool on);
  void set_drop_path_rate(double encoder_rate, double decoder_rate);
  void set_attn_implementation(std::string_view name);
  // Pictures of another size from now on: the position table is interpolated to it once, as transformers does when a
  // picture is larger. Before an optimizer is made, because the table changes its shape.
  void set_image_size(int image_size);

  const VisionEncoderDecoderConfig& config() const { return config_; }
  VisionEncoder& encoder() { return *encoder_; }
  const VisionEncoder& encoder() const { return *encoder_; }
  Gpt2& decoder() { return *decoder_; }

  // Parameters and buffers under Hugging Face's names, sharing the model's memory. The tied lm_head is left out, as
  // transformers does.
  TensorMap state() const;
  // Copies tensors in. Names may be those of published files or of transformers 5 modules; mask buffers of old GPT-2
  // files are skipped. CheckpointError for mismatched shapes and, without `report`, for missing and unexpected names;
  // with `report` those are listed there and missing parameters keep their values. Nothing is copied on an error.
  void load_state(const TensorMap& tensors, LoadReport* report = nullptr);

 private:
  VisionEncoderDecoderConfig config_;
  std::shared_ptr<VisionEncoder> encoder_;
  std::shared_ptr<Gpt2> decoder_;
  Linear enc_to_dec_proj_{nullptr};  // empty where the widths are equal
};

// A model with fresh weights, drawn as transformers does: normal of the family's deviation, residual projections
// of the decoder scaled by 1/sqrt(2 * n_layer), biases 0, layer normalisation 1. They depend on `seed` only.
std::shared_ptr<VisionEncoderDecoder> create_model(const VisionEncoderDecoderConfig& config, std::uint64_t seed);

// labels int64 [B, T] with -100 where there is none -> decoder inputs: start token, then labels shifted right,
// -100 replaced by pad (transformers' shift_tokens_right).
at::Tensor shift_tokens_right(const at::Tensor& labels_BT, std::int64_t pad_token_id,
                              std::int64_t decoder_start_token_id);

}  // namespace capstan
