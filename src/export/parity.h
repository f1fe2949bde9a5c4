// What the formats' read-back checks have in common.
#pragma once
#include <ATen/core/Tensor.h>

#include "capstan/generate/captioner.h"

namespace capstan {

// Infinite where the shapes differ.
double max_abs_diff(const at::Tensor& a, const at::Tensor& b);

// The same picture-like numbers in every run, in the range that image processors give: float32 [batch, C, H, W].
at::Tensor sample_pixel_values(const VisionConfig& config, std::int64_t batch);

// Token ids that differ from row to row and place to place: int64 [batch, length].
at::Tensor sample_ids(const Gpt2Config& config, std::int64_t batch, std::int64_t length);

}  // namespace capstan
