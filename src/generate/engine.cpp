// Choosing an engine, and the weights that engines start from.
#include "capstan/generate/engine.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/nn/lora.h"
#include "generate/engines.h"

namespace capstan {

TensorMap effective_weights(const torch::nn::Module& module) {
  TensorMap weights;
  for (const auto& item : module.named_parameters()) weights.emplace(item.key(), item.value().detach());
  for (const auto& item : module.named_modules()) {
    const auto* layer = dynamic_cast<const LoraLayer*>(item.value().get());
    if (layer == nullptr || !layer->has_lora() || layer->merged()) continue;
    const at::NoGradGuard no_grad;
    at::Tensor added = at::matmul(layer->lora_b(), layer->lora_a()) * layer->lora().scale;  // [out, in]
    if (layer->out_features() != layer->weight.size(0) || layer->in_features() != layer->weight.size(1))
      added = added.t();
    weights.at(item.key() + ".weight") = layer->weight.detach() + added.to(layer->weight.scalar_type());
  }
  return weights;
}

std::unique_ptr<DecodeEngine> make_engine(Gpt2& decoder, const EngineOptions& options) {
  const at::Tensor weight = decoder.parameters().front();
  CAPSTAN_ASSERT(options.max_rows >= 1 && options.max_tokens >= 1);
  if (options.max_tokens > decoder.config().n_positions)
    throw ConfigError(
        fmt::format("texts of {} tokens do not fit the model, whose n_positions is {}; lower the longest "
                    "length",
                    options.max_tokens, decoder.config().n_positions));
  if (weight.device().is_cpu()) {
    if (options.dtype != "float32" && options.dtype != "bfloat16" && options.dtype != "int8")
      throw UnsupportedError(fmt::format("captions in {} on a CPU; expected float32, bfloat16 or int8", options.dtype));
    return make_cpu_engine(decoder, options);
  }
  if (options.dtype == "int8")
    throw UnsupportedError("int8 weights run on a CPU only; expected float32, bfloat16 or float16 on this device");
  return make_module_engine(decoder, options);
}

std::unique_ptr<DecodeEngine> make_engine(VisionEncoderDecoder& model, const EngineOptions& options) {
  return make_engine(model.decoder(), options);
}

}  // namespace capstan
