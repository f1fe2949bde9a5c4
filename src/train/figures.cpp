#include "capstan/train/figures.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace capstan {

DeviceFigures::DeviceFigures(const at::Tensor& figures) {
  if (figures.is_cpu()) {
    host_ = figures;
    return;
  }
  host_ = at::empty_like(figures, figures.options().device(c10::kCPU).pinned_memory(true));
  host_.copy_(figures, /*non_blocking=*/true);
  arrived_.emplace(figures.device().type());
  arrived_->record(c10::impl::VirtualGuardImpl(figures.device().type()).getStream(figures.device()));
}

std::vector<double> DeviceFigures::read() {
  if (arrived_) arrived_->synchronize();
  const auto* const data = host_.const_data_ptr<float>();
  std::vector<double> values(data, data + host_.numel());
  *this = DeviceFigures();
  return values;
}

}  // namespace capstan
