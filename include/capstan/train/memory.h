// How much memory training took.
#pragma once
#include <c10/core/Device.h>

#include <string>

namespace capstan {

// "peak memory: 812.4 MiB" of this process, with that of the device's allocator where the device is no CPU.
std::string peak_memory_text(c10::Device device);

}  // namespace capstan
