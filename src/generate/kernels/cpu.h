// What the processor can do, and threads that stay for the whole life of an engine.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace capstan::kernels {

enum class Isa { kPlain, kAvx2, kAvx512 };

struct Cpu {
  Isa isa = Isa::kPlain;
  bool amx = false;  // tiles of bfloat16 and int8; only with AVX-512
};

// This processor and this build. The environment variable CAPSTAN_CPU lowers it, to test and compare the other paths:
// "avx512" (no tiles), "avx2" or "plain".
Cpu detect_cpu();

// 64-byte aligned memory, zeros, in large pages where the system gives them. Large memory costs nothing before it is
// written.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t size);
  T* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    std::size_t mapped = 0;  // bytes, where the memory comes from the system
    void operator()(T* memory) const;
  };
  std::unique_ptr<T[], Free> data_;
  std::int64_t size_ = 0;
};
extern template class Buffer<float>;
extern template class Buffer<std::uint16_t>;
extern template class Buffer<std::int8_t>;

// The same function on every thread at once, with barriers inside: one start per step of an engine instead of one per
// matrix. Waiting threads spin for a short while and then sleep. run() takes no memory and must not throw.
class Team {
 public:
  explicit Team(int num_threads);  // the caller of run() is one of them
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  template <class F>
  void run(F& function) {  // function(int thread)
    start([](void* context, int thread) { (*static_cast<F*>(context))(thread); }, &function);
  }
  // For every thread inside run(): nobody goes on before all have come.
  void barrier();

 private:
  using Job = void (*)(void*, int);
  void start(Job job, void* context);
  void serve(int thread);

  int size_;
  Job job_ = nullptr;
  void* context_ = nullptr;
  bool stopping_ = false;
  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  alignas(64) std::atomic<int> running_{0};
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  std::vector<std::thread> threads_;
};

// The part of [0, count) that is `thread`'s, in pieces of `grain`.
struct Share {
  std::int64_t begin, end;
};
inline Share share(std::int64_t count, int thread, int num_threads, std::int64_t grain = 1) {
  const std::int64_t pieces = (count + grain - 1) / grain;
  const std::int64_t begin = pieces * thread / num_threads * grain, end = pieces * (thread + 1) / num_threads * grain;
  return {begin, end < count ? end : count};
}

inline std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace capstan::kernels
