// One file from one address, through as many requests as it takes.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "capstan/core/progress.h"
#include "capstan/hub/download.h"
#include "hub/part_file.h"
#include "hub/request.h"
#include "hub/retry.h"

namespace capstan::hub {

// Bytes of all files together, shown in units that suit them.
class Meter {
 public:
  explicit Meter(std::uint64_t total);
  void add(std::int64_t bytes);
  void say(const std::string& warning);  // a line of its own, not in the middle of the live one
  std::uint64_t received() const { return received_; }

 private:
  std::int64_t unit_, pending_ = 0;
  std::uint64_t received_ = 0;
  Progress progress_;
};

class Transfer {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Next { kDone, kGoOn, kWait };  // kGoOn: handle() is prepared; kWait: begin() again at ready()

  Transfer(const Download& what, const Access& access, const Retry& retry, Meter& meter);
  // Opens the part and prepares the request. kDone when nothing was missing.
  Next begin();
  // After libcurl is done with handle(). DataError when trying again would not help.
  Next end(CURLcode code);
  CURL* handle() const { return request_.handle(); }
  Clock::time_point ready() const { return ready_; }

 private:
  void on_bytes(std::string_view bytes);
  void check_answer();  // before its first byte: does it continue what we have?
  void restart();
  Next place();
  Next try_again(const std::string& problem, double retry_after);

  const Download& what_;
  Access access_;
  Retry retry_;
  Meter& meter_;
  Request request_;
  std::optional<PartFile> part_;
  bool answer_checked_ = false, wrong_range_ = false;
  std::uint64_t furthest_ = 0;  // bytes had at once; only more than that counts as getting further
  int failures_ = 0;
  Clock::time_point ready_{};
};

}  // namespace capstan::hub
