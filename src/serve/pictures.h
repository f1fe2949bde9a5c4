// A few threads that decode and resize pictures. Connections are many and mostly wait; decoding in each of them would
// take as much memory at a time as there are connections.
#pragma once
#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capstan/generate/captioner.h"
#include "serve/drain.h"

namespace capstan::serve {

// For several threads.
class Pictures {
 public:
  Pictures(std::shared_ptr<const Captioner> captioner, int threads, std::int64_t max_pixels);
  ~Pictures();
  Pictures(const Pictures&) = delete;
  Pictures& operator=(const Pictures&) = delete;

  // [1, 3, H, W] for the model, or the DataError of a picture that cannot be read; `name` stands for the file in it.
  // What is not begun before `deadline` is dropped with a broken promise: nobody waits for it any more.
  std::future<at::Tensor> submit(std::string bytes, std::string name, Clock::time_point deadline);
  int waiting() const;  // pictures submitted and not yet done

 private:
  struct Job {
    std::string bytes;
    std::string name;
    Clock::time_point deadline;
    std::promise<at::Tensor> result;
  };
  void work();
  void decode(Job& job) const;

  std::shared_ptr<const Captioner> captioner_;
  std::int64_t max_pixels_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  int running_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace capstan::serve
