// Work shared by threads, results taken in order: the same sequence for any number of workers.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace capstan {

// Ordered<int> squares(2, 8, 100, [](std::int64_t i) { return int(i * i); });
// squares.next();  // 0, then 1, 4, 9, ...
// next() is for one thread. What `produce` throws is rethrown by next() at its place in the order, and again by
// every later call. The destructor waits only for the items being made.
template <class Result>
class Ordered {
 public:
  using Produce = std::function<Result(std::int64_t)>;
  static constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max();

  // `num_workers` 0: next() does the work itself. At most `window` results are made ahead of next().
  Ordered(int num_workers, std::int64_t window, std::int64_t end, Produce produce)
      : produce_(std::move(produce)), end_(end), slots_(static_cast<std::size_t>(window < 1 ? 1 : window)) {
    for (int i = 0; i < num_workers; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Ordered() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Ordered(const Ordered&) = delete;
  Ordered& operator=(const Ordered&) = delete;

  // Must not be called more than `end` times.
  Result next() {
    if (workers_.empty()) {
      Result result = produce_(taken_);
      ++taken_;
      return result;
    }
    std::unique_lock lock(mutex_);
    Slot& slot = slot_of(taken_);
    ready_.wait(lock, [&] { return slot.result.has_value() || slot.error; });
    if (slot.error) std::rethrow_exception(slot.error);
    Result result = std::move(*slot.result);
    slot.result.reset();
    ++taken_;
    lock.unlock();
    room_.notify_one();
    return result;
  }

  std::int64_t taken() const { return taken_; }  // results that next() has returned

 private:
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr error;
  };

  Slot& slot_of(std::int64_t index) {
    return slots_[static_cast<std::size_t>(index % static_cast<std::int64_t>(slots_.size()))];
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto window = static_cast<std::int64_t>(slots_.size());
      room_.wait(lock, [&] { return stopping_ || started_ >= end_ || started_ - taken_ < window; });
      if (stopping_ || started_ >= end_) return;
      const std::int64_t index = started_++;
      lock.unlock();
      std::optional<Result> result;
      std::exception_ptr error;
      try {
        result.emplace(produce_(index));
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      Slot& slot = slot_of(index);
      slot.result = std::move(result);
      slot.error = error;
      ready_.notify_one();
    }
  }

  const Produce produce_;
  const std::int64_t end_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable ready_, room_;
  std::int64_t started_ = 0, taken_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace capstan
