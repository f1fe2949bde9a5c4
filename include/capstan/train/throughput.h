// How much of what the machine can do training makes use of.
#pragma once
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/train/config.h"
#include "capstan/train/step.h"

namespace capstan {

// Floating-point operations of the matrix products that an update needs: backward counts twice the forward pass, and
// not at all for an encoder that is not trained. Padding and recomputed blocks are no use and do not count.
class FlopCounter {
 public:
  FlopCounter(const VisionEncoderDecoderConfig& config, bool trains_encoder);
  double flops(const StepCounts& counts) const;

 private:
  double per_image_ = 0, per_token_ = 0;
};

// Operations per second of a large matrix product on `device` in the type that `config` trains in, measured now; takes
// some tenths of a second.
double measure_peak_flops(c10::Device device, const TrainerConfig& config);

// Bytes that this process holds at most so far: of the device's allocator, on a CPU of the process.
std::uint64_t peak_memory_bytes(c10::Device device);
// "peak memory: 812.4 MiB" of this process, with that of the device's allocator where the device is no CPU.
std::string peak_memory_text(c10::Device device);

}  // namespace capstan
