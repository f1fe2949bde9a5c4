// A placeholder is a tensor of one number with all strides 0: a shape for free, whatever a configuration asks for.
#include "capstan/nn/placeholder.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

namespace capstan {
namespace {

thread_local bool placeholders = false;

}  // namespace

PlaceholderWeights::PlaceholderWeights() : before_(placeholders) { placeholders = true; }
PlaceholderWeights::~PlaceholderWeights() { placeholders = before_; }

at::Tensor new_weight(at::IntArrayRef sizes) {
  if (!placeholders) return at::zeros(sizes);
  const at::Tensor tensor = at::zeros({1});
  // Set directly: expand() would make a view of a base, and parameters are none.
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, std::vector<std::int64_t>(sizes.size(), 0));
  return tensor;
}

bool is_placeholder(const at::Tensor& tensor) {
  return tensor.numel() > 1 && std::ranges::all_of(tensor.strides(), [](std::int64_t stride) { return stride == 0; });
}

}  // namespace capstan
