// Devices and number types by the names people type.
#pragma once
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>
#include <string_view>

namespace capstan {

// "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:1". ConfigError for anything else
// and for a GPU that is not there.
c10::Device parse_device(std::string_view text);

// "fp32", "bf16" or "fp16" (also "float32", "bfloat16", "float16"). ConfigError otherwise.
c10::ScalarType parse_dtype(std::string_view text);
std::string dtype_name(c10::ScalarType dtype);  // "float32", "bfloat16", ... as in config.json

}  // namespace capstan
