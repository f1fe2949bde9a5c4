// Projection onto the vocabulary and cross-entropy in one, without keeping the logits.
// Legend: R positions, D width, V vocabulary.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace capstan {

struct CrossEntropyOptions {
  double label_smoothing = 0;  // share of the target that is spread over the vocabulary (Szegedy et al., 2016)
  double z_loss = 0;           // adds z_loss * log(sum of exp(logits))^2 per position (PaLM, Chowdhery et al., 2022)
  double scale = 1;            // of the result, usually 1 / number of positions
  bool ignores = false;        // whether labels may be -100: such a position adds nothing
  std::int64_t chunk = 512;    // positions whose logits [chunk, V] exist at a time
};

// scale * sum over R of cross_entropy(hidden_RD * weight_VD^T, labels_R), float32 scalar, differentiable in hidden and
// weight. Equal to at::cross_entropy_loss of float32 logits. Gradients are computed with the loss and kept instead of
// logits: [R, D] in hidden's type and [V, D] in float32. Under autocast the products run in its type, everything else
// in float32. labels int64 on hidden's device, each in [0, V). Not differentiable twice.
at::Tensor linear_cross_entropy(const at::Tensor& hidden_RD, const at::Tensor& weight_VD, const at::Tensor& labels_R,
                                const CrossEntropyOptions& options = {});

}  // namespace capstan
