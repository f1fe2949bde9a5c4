// Inputs without a random generator, so that an export neither depends on a seed nor disturbs one.
#include "export/parity.h"

#include <ATen/ATen.h>

#include <limits>

namespace capstan {

double max_abs_diff(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor sample_pixel_values(const VisionConfig& config, std::int64_t batch) {
  const std::int64_t count = batch * config.num_channels * config.image_size * config.image_size;
  const at::Tensor waves = at::arange(count, at::kDouble).mul(0.61803398875).sin();
  return waves.to(at::kFloat).reshape({batch, config.num_channels, config.image_size, config.image_size});
}

at::Tensor sample_ids(const Gpt2Config& config, std::int64_t batch, std::int64_t length) {
  return at::arange(batch * length, at::kLong).mul(7919).remainder(config.vocab_size).reshape({batch, length});
}

}  // namespace capstan
