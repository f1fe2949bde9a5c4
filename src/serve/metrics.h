// Numbers about the requests so far, in Prometheus' text format.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "capstan/generate/stream.h"

namespace capstan::serve {

// What the server is doing right now, beside the stream.
struct Load {
  int connections = 0;
  int decoding = 0;  // pictures that wait for being decoded or are
};

// For several threads.
class Metrics {
 public:
  // One answer; `path` must come from a small set, because every path and code is a line. Only requests for a caption
  // count in the histogram.
  void count(const std::string& path, int status, double seconds);
  void count_aborted();  // a client left before its request was complete
  std::string text(const CaptionStream::Counts& stream, const Load& load) const;

 private:
  static constexpr std::array<double, 13> kBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::array<std::uint64_t, kBounds.size() + 1> buckets_{};
  double seconds_ = 0;
  std::uint64_t aborted_ = 0;
};

}  // namespace capstan::serve
