#include "capstan/train/device_feed.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace capstan {
namespace {

struct Step {
  std::vector<CaptionBatch> batches;
  std::optional<c10::Event> copied;
};

}  // namespace

struct DeviceFeed::Impl {
  Impl(std::unique_ptr<Loader> loader_in, c10::Device device_in, int count)
      : loader(std::move(loader_in)), device(device_in), batches_per_step(count) {
    if (device.is_cpu()) return;
    guard.emplace(device.type());
    side_stream = guard->getStreamFromGlobalPool(device);
  }

  Step fetch() {
    Step step;
    for (int i = 0; i < batches_per_step; ++i) step.batches.push_back(loader->next());
    if (!guard) return step;
    const c10::StreamGuard on_side(*side_stream);
    for (CaptionBatch& batch : step.batches) batch.pixels_PHWC = batch.pixels_PHWC.to(device, /*non_blocking=*/true);
    step.copied.emplace(device.type());
    step.copied->record(*side_stream);
    return step;
  }

  // The current stream waits for the copies, and the allocator learns that it uses their memory.
  std::vector<CaptionBatch> hand_over(Step step) {
    if (guard) {
      const c10::Stream current = guard->getStream(device);
      step.copied->block(current);
      for (const CaptionBatch& batch : step.batches) batch.pixels_PHWC.record_stream(current);
    }
    return std::move(step.batches);
  }

  std::unique_ptr<Loader> loader;
  c10::Device device;
  int batches_per_step;
  std::optional<c10::impl::VirtualGuardImpl> guard;  // empty on a CPU
  std::optional<c10::Stream> side_stream;
  std::optional<Step> ahead;
};

DeviceFeed::DeviceFeed(std::unique_ptr<Loader> loader, c10::Device device, int batches_per_step)
    : impl_(std::make_unique<Impl>(std::move(loader), device, batches_per_step)) {}

DeviceFeed::~DeviceFeed() = default;

std::vector<CaptionBatch> DeviceFeed::next() {
  Step present = impl_->ahead ? std::move(*impl_->ahead) : impl_->fetch();
  impl_->ahead.reset();
  std::vector<CaptionBatch> batches = impl_->hand_over(std::move(present));
  if (impl_->guard) impl_->ahead = impl_->fetch();
  return batches;
}

double DeviceFeed::wait_seconds() const { return impl_->loader->wait_seconds(); }

}  // namespace capstan
