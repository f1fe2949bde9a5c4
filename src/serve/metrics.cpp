#include "serve/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace capstan::serve {
namespace {

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  file >> pages >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void add(std::string& text, const char* name, const char* type, const char* help, std::uint64_t value) {
  fmt::format_to(std::back_inserter(text), "# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
}

}  // namespace

void Metrics::count(const std::string& path, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{path, status}];
  if (path != "/caption" || status != 200) return;
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++buckets_[static_cast<std::size_t>(bound - kBounds.begin())];
  seconds_ += seconds;
}

void Metrics::count_aborted() {
  const std::lock_guard lock(mutex_);
  ++aborted_;
}

std::string Metrics::text(const CaptionStream::Counts& stream, const Load& load) const {
  std::string text;
  const auto out = std::back_inserter(text);
  const std::lock_guard lock(mutex_);
  text += "# HELP capstan_requests_total Answers by path and status.\n# TYPE capstan_requests_total counter\n";
  for (const auto& [key, number] : requests_)
    fmt::format_to(out, "capstan_requests_total{{path=\"{}\",code=\"{}\"}} {}\n", key.first, key.second, number);
  text +=
      "# HELP capstan_caption_seconds From the first byte of a request to its answer with a caption.\n"
      "# TYPE capstan_caption_seconds histogram\n";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    total += buckets_[i];
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    fmt::format_to(out, "capstan_caption_seconds_bucket{{le=\"{}\"}} {}\n", bound, total);
  }
  fmt::format_to(out, "capstan_caption_seconds_sum {}\ncapstan_caption_seconds_count {}\n", seconds_, total);
  add(text, "capstan_aborted_requests_total", "counter", "Requests whose client left before they were complete.",
      aborted_);
  add(text, "capstan_pictures_total", "counter", "Pictures captioned.", stream.finished);
  add(text, "capstan_steps_total", "counter", "Steps of the decoder.", stream.steps);
  add(text, "capstan_rows_total", "counter", "Texts summed over all steps; by steps_total, the mean batch.",
      stream.rows);
  add(text, "capstan_waiting", "gauge", "Pictures waiting for their caption.", stream.waiting);
  add(text, "capstan_running", "gauge", "Pictures being captioned.", stream.running);
  add(text, "capstan_decoding", "gauge", "Pictures being decoded or waiting for it.",
      static_cast<std::uint64_t>(load.decoding));
  add(text, "capstan_connections", "gauge", "Open connections.", static_cast<std::uint64_t>(load.connections));
  add(text, "process_resident_memory_bytes", "gauge", "Memory in use.", resident_bytes());
  return text;
}

}  // namespace capstan::serve
