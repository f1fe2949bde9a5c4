#include "capstan/train/precision.h"

#include <ATen/autocast_mode.h>

namespace capstan {

Autocast::Autocast(c10::Device device, bool enabled) : device_(device), enabled_(enabled) {
  if (!enabled_) return;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device_.type(), at::kBFloat16);
  at::autocast::set_autocast_enabled(device_.type(), true);
}

Autocast::~Autocast() {
  if (!enabled_) return;
  at::autocast::set_autocast_enabled(device_.type(), false);
  // Weights were cast once for the whole region; after an update the casts are stale.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

}  // namespace capstan
