#include "capstan/train/throughput.h"

#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "capstan/core/strings.h"
#include "capstan/models/inspect.h"

namespace capstan {
namespace {

constexpr std::int64_t kCpuSide = 1024, kDeviceSide = 4096;

std::uint64_t process_peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::uint64_t device_peak(c10::Device device) {
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (allocator == nullptr) return 0;
  const auto stats = allocator->getDeviceStats(device.has_index() ? device.index() : c10::DeviceIndex{0});
  return static_cast<std::uint64_t>(
      stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak);
}

}  // namespace

FlopCounter::FlopCounter(const VisionEncoderDecoderConfig& config, bool trains_encoder) {
  const EncoderCost encoder = encoder_cost(config.encoder);
  const DecoderCost decoder = decoder_cost(config.decoder, encoder.tokens);
  const double encoding = encoder.flops + projection_flops(config.encoder, config.decoder);
  per_image_ = encoding * (trains_encoder ? 3 : 1) + 3 * decoder.cross_flops;
  per_token_ = 3 * (decoder.token_flops + decoder.head_flops);
}

double FlopCounter::flops(const StepCounts& counts) const {
  return per_image_ * static_cast<double>(counts.images) + per_token_ * static_cast<double>(counts.tokens);
}

double measure_peak_flops(c10::Device device, const TrainerConfig& config) {
  const at::NoGradGuard no_grad;
  const at::ScalarType type = config.bf16 ? at::kBFloat16 : config.fp16 ? at::kHalf : at::kFloat;
  const std::int64_t side = device.is_cpu() ? kCpuSide : kDeviceSide;
  // Numbers do not matter and must not be drawn from the generator that dropout uses.
  const at::Tensor a = at::full({side, side}, 0.5, at::TensorOptions().device(device).dtype(type)), b = a.clone();
  const auto multiply = [&](int times) {
    at::Tensor c;
    for (int i = 0; i < times; ++i) c = at::matmul(a, b);
    c.narrow(0, 0, 1).narrow(1, 0, 1).cpu();  // waits for the device
  };
  multiply(2);
  double best = 0;
  for (int turn = 0; turn < 3; ++turn) {
    const auto begin = std::chrono::steady_clock::now();
    multiply(4);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 4 * 2.0 * static_cast<double>(side * side * side) / elapsed.count());
  }
  return best;
}

std::uint64_t peak_memory_bytes(c10::Device device) { return device.is_cpu() ? process_peak() : device_peak(device); }

std::string peak_memory_text(c10::Device device) {
  const std::string text = "peak memory: " + human_bytes(process_peak());
  if (device.is_cpu()) return text;
  return text + fmt::format(", on {} {}", device.str(), human_bytes(device_peak(device)));
}

}  // namespace capstan
