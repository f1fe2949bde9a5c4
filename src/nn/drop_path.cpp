// One draw per sample, broadcast over its values.
#include "capstan/nn/drop_path.h"

#include <ATen/ATen.h>

#include <vector>

namespace capstan {

at::Tensor drop_path(const at::Tensor& branch, double rate, bool training) {
  if (!training || rate <= 0) return branch;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(branch.dim()), 1);
  sizes[0] = branch.size(0);
  return branch * at::empty(sizes, branch.options().requires_grad(false)).bernoulli_(1 - rate).div_(1 - rate);
}

double drop_path_rate_of(double rate, std::int64_t index, std::int64_t count) {
  return count < 2 ? rate : rate * static_cast<double>(index) / static_cast<double>(count - 1);
}

}  // namespace capstan
