// Mixed precision: bfloat16 where it is safe, float32 master weights.
#pragma once
#include <c10/core/Device.h>

namespace capstan {

// While it lives, operators on `device` run under torch's autocast rules when `enabled`. Not to be moved between
// threads: autocast is a setting of the thread.
class Autocast {
 public:
  Autocast(c10::Device device, bool enabled);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::Device device_;
  bool enabled_;
};

}  // namespace capstan
