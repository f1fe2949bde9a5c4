// A few numbers on their way from the device, so that the loop need not wait where it stands.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <optional>
#include <vector>

namespace capstan {

class DeviceFigures {
 public:
  DeviceFigures() = default;
  // Starts the copy of a float32 vector. On a CPU it is there at once.
  explicit DeviceFigures(const at::Tensor& figures);
  // Waits for the copy, not for work that was given to the device later.
  std::vector<double> read();

 private:
  at::Tensor host_;
  std::optional<c10::Event> arrived_;
};

}  // namespace capstan
