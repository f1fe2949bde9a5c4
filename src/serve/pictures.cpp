#include "serve/pictures.h"

#include <algorithm>
#include <exception>
#include <span>

#include "capstan/image/decode.h"

namespace capstan::serve {

Pictures::Pictures(std::shared_ptr<const Captioner> captioner, int threads, std::int64_t max_pixels)
    : captioner_(std::move(captioner)), max_pixels_(max_pixels) {
  // The other half draws captions.
  const int half = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2);
  for (int i = 0; i < (threads > 0 ? threads : half); ++i) threads_.emplace_back([this] { work(); });
}

Pictures::~Pictures() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::future<at::Tensor> Pictures::submit(std::string bytes, std::string name, Clock::time_point deadline) {
  Job job{.bytes = std::move(bytes), .name = std::move(name), .deadline = deadline, .result = {}};
  auto result = job.result.get_future();
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return result;
}

int Pictures::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(jobs_.size()) + running_;
}

void Pictures::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      ++running_;
      lock.unlock();
      if (Clock::now() < job.deadline) decode(job);
    }
    lock.lock();
    --running_;
  }
}

void Pictures::decode(Job& job) const {
  try {
    const auto bytes = std::as_bytes(std::span(job.bytes));
    job.result.set_value(captioner_->pixels(
        decode_image(bytes, job.name, {.max_pixels = max_pixels_}, captioner_->processor().wanted_size())));
  } catch (...) {
    job.result.set_exception(std::current_exception());
  }
}

}  // namespace capstan::serve
