#include "capstan/core/device.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include "capstan/core/error.h"

namespace capstan {

c10::Device parse_device(std::string_view text) {
  if (text == "auto") return at::hasCUDA() ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  if (text == "cpu") return c10::Device(c10::kCPU);
  if (text == "cuda" || text.substr(0, 5) == "cuda:") {
    const std::string number(text == "cuda" ? "0" : text.substr(5));
    if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string::npos)
      throw ConfigError(fmt::format("device: found '{}', expected a GPU number as in 'cuda:1'", text));
    const int index = std::stoi(number);
    const std::size_t available = at::getNumGPUs();
    if (static_cast<std::size_t>(index) >= available)
      throw ConfigError(fmt::format("device: '{}' asks for GPU {}, but this program sees {}; use device=cpu or auto",
                                    text, index, available));
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
  }
  throw ConfigError(fmt::format("device: found '{}', expected auto, cpu, cuda or cuda:N", text));
}

c10::ScalarType parse_dtype(std::string_view text) {
  if (text == "float32" || text == "fp32") return c10::kFloat;
  if (text == "bfloat16" || text == "bf16") return c10::kBFloat16;
  if (text == "float16" || text == "fp16") return c10::kHalf;
  throw ConfigError(fmt::format("dtype: found '{}', expected float32, bfloat16 or float16", text));
}

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::kFloat:
      return "float32";
    case c10::kDouble:
      return "float64";
    case c10::kBFloat16:
      return "bfloat16";
    case c10::kHalf:
      return "float16";
    default:
      return c10::toString(dtype);
  }
}

}  // namespace capstan
