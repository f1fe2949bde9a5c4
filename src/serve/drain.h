// Whether the server is on its way out, as a flag to ask and as a file descriptor to wait for.
#pragma once
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

namespace capstan::serve {

using Clock = std::chrono::steady_clock;

class Drain {
 public:
  Drain() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Drain() { ::close(event_); }
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  void begin() {
    since_ = Clock::now().time_since_epoch().count();
    begun_ = true;
    ::eventfd_write(event_, 1);
  }
  bool begun() const { return begun_; }
  // A request that came right after the beginning may have been sent before it.
  bool refuses() const {
    return begun_ && Clock::now() - Clock::time_point(Clock::duration(since_)) > std::chrono::milliseconds(250);
  }
  int event() const { return event_; }  // readable from begin() on

 private:
  int event_;
  std::atomic<Clock::rep> since_ = 0;
  std::atomic<bool> begun_ = false;
};

}  // namespace capstan::serve
