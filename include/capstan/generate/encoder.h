// Pictures to the hidden states that a decoder looks at, as fast as the processor allows.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// Not for several threads. Memory of a batch is kept for the next one.
class EncoderEngine {
 public:
  virtual ~EncoderEngine() = default;
  // pixel_values float [B, C, H, W], normalised -> [B, S, D] of the decoder's width, without a gradient; float32 from
  // own kernels, the model's type otherwise. DataError when the size is not one that the model takes.
  virtual at::Tensor encode(const at::Tensor& pixel_values_BCHW) = 0;
};

// `dtype` as for make_engine; int8 runs in bfloat16. Own kernels with prepacked weights on CPUs with AMX, for all
// families of vision transformers whose widths are multiples of 32; model.encode() in every other case. The model must
// outlive it and keep its weights.
std::unique_ptr<EncoderEngine> make_encoder(VisionEncoderDecoder& model, const std::string& dtype);

}  // namespace capstan
