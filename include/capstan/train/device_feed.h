// Batches on the training device, the next ones on their way while the present one is worked on.
#pragma once
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "capstan/data/loader.h"

namespace capstan {

class DeviceFeed {
 public:
  // Takes `batches_per_step` batches a time from `loader`. On a GPU their pictures are copied from page-locked memory
  // on a stream of its own, one step ahead; labels stay on the CPU, where real positions are counted.
  DeviceFeed(std::unique_ptr<Loader> loader, c10::Device device, int batches_per_step);
  ~DeviceFeed();
  // Work given to the current stream afterwards finds the pictures in place.
  std::vector<CaptionBatch> next();
  double wait_seconds() const;  // spent waiting for the loader's workers

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
