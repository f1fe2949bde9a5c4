// Greedy search with a key-value cache.
#include "capstan/generate/decode.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "capstan/core/error.h"

namespace capstan {
namespace {

// Dropout off while captions are drawn; the model is as before afterwards.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& module) : module_(module), was_training_(module.is_training()) {
    if (was_training_) module_.eval();
  }
  ~EvaluationMode() {
    if (was_training_) module_.train();
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  torch::nn::Module& module_;
  bool was_training_;
};

// The ids drawn after the start token, int64 [B, steps]. Rows that have ended are filled with the pad token; the loop
// stops with the last of them.
at::Tensor draw(VisionEncoderDecoder& model, const at::Tensor& encoder_hidden_BSD, const GenerationConfig& options) {
  const std::int64_t batch = encoder_hidden_BSD.size(0);
  // Every fed token takes a position; the last one drawn is never fed.
  const auto max_steps = std::min<std::int64_t>(options.max_new_tokens, model.config().decoder.n_positions);
  const auto ids_options = encoder_hidden_BSD.options().dtype(at::kLong);

  Gpt2Cache cache;
  cache.capacity = max_steps;
  at::Tensor ids_BT = at::full({batch, max_steps}, options.pad_token_id, ids_options);
  at::Tensor next_B1 = at::full({batch, 1}, options.decoder_start_token_id, ids_options);
  at::Tensor ended_B1 = at::zeros({batch, 1}, ids_options.dtype(at::kBool));
  for (std::int64_t step = 0; step < max_steps; ++step) {
    const at::Tensor hidden_B1D = model.decode_hidden(next_B1, encoder_hidden_BSD, &cache);
    const at::Tensor logits_B1V = model.lm_head(hidden_B1D);
    next_B1 = logits_B1V.to(at::kFloat).argmax(-1).masked_fill(ended_B1, options.pad_token_id);
    ids_BT.narrow(1, step, 1).copy_(next_B1);
    ended_B1 = ended_B1.logical_or(next_B1 == options.eos_token_id);
    if (ended_B1.all().item<bool>()) return ids_BT.narrow(1, 0, step + 1);
  }
  return ids_BT;
}

}  // namespace

std::vector<std::vector<std::int64_t>> generate(VisionEncoderDecoder& model, const at::Tensor& pixel_values_BCHW,
                                                const GenerationConfig& options) {
  CAPSTAN_ASSERT(pixel_values_BCHW.dim() == 4 && options.max_new_tokens >= 1);
  if (pixel_values_BCHW.size(0) == 0) return {};
  const c10::InferenceMode no_gradients;
  const EvaluationMode no_dropout(model);
  const at::Tensor weight = model.parameters().front();
  const at::Tensor encoder_hidden_BSD = model.encode(pixel_values_BCHW.to(weight.device(), weight.scalar_type()));
  const at::Tensor ids_BT = draw(model, encoder_hidden_BSD, options).cpu().contiguous();

  std::vector<std::vector<std::int64_t>> captions;
  for (std::int64_t row = 0; row < ids_BT.size(0); ++row) {
    const std::int64_t* first = ids_BT.const_data_ptr<std::int64_t>() + row * ids_BT.size(1);
    const std::int64_t* last = std::find(first, first + ids_BT.size(1), options.eos_token_id);
    captions.emplace_back(first, last);
  }
  return captions;
}

}  // namespace capstan
