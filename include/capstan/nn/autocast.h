// For functions that choose the types of their products themselves.
#pragma once
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>

namespace capstan {

// The type in which a product with `x` runs: autocast's where it is on for x's device, else that of x.
inline at::ScalarType product_type(const at::Tensor& x) {
  const c10::DeviceType device = x.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : x.scalar_type();
}

// No autocast on a type of device while it lives.
class AutocastOff {
 public:
  explicit AutocastOff(c10::DeviceType device) : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    at::autocast::set_autocast_enabled(device_, false);
  }
  ~AutocastOff() { at::autocast::set_autocast_enabled(device_, before_); }
  AutocastOff(const AutocastOff&) = delete;
  AutocastOff& operator=(const AutocastOff&) = delete;

 private:
  c10::DeviceType device_;
  bool before_;
};

}  // namespace capstan
