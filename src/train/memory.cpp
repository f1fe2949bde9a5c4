#include "capstan/train/memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include "capstan/core/strings.h"

namespace capstan {

std::string peak_memory_text(c10::Device device) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::string text = "peak memory: " + human_bytes(static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
  if (device.is_cpu()) return text;
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (allocator == nullptr) return text;
  const auto stats = allocator->getDeviceStats(device.has_index() ? device.index() : c10::DeviceIndex{0});
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return text + fmt::format(", on {} {}", device.str(),
                            human_bytes(static_cast<std::uint64_t>(stats.allocated_bytes[kAll].peak)));
}

}  // namespace capstan
