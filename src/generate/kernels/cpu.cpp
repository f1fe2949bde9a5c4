// Asking the processor, aligned memory, and the team of threads.
#include "generate/kernels/cpu.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace capstan::kernels {
namespace {

#if defined(__x86_64__)

// The system saves tile registers only for processes that asked for them.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr int kArchRequestPermission = 0x1023, kTileData = 18;
  static const bool allowed = syscall(SYS_arch_prctl, kArchRequestPermission, kTileData) == 0;
  return allowed;
#else
  return false;
#endif
}

bool has_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24, kInt8 = 1U << 25;
  if ((d & (kBf16 | kTile | kInt8)) != (kBf16 | kTile | kInt8)) return false;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 || (a & (1U << 5)) == 0) return false;  // avx512_bf16
  return may_use_tiles();
}

Cpu ask_processor() {
  Cpu cpu;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) cpu.isa = Isa::kAvx2;
  if (cpu.isa == Isa::kAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    cpu.isa = Isa::kAvx512;
    cpu.amx = has_tiles();
  }
  return cpu;
}

void relax() { _mm_pause(); }

#else

Cpu ask_processor() { return {}; }
void relax() {}

#endif

// Long enough to outlast the search between two steps of a small batch, short beside a time slice.
constexpr int kSpins = 4000;
// Within a step the others are at work: after this many rounds a core is probably shared with another program.
constexpr int kBarrierSpins = 20000;

constexpr std::size_t kPage = 2U << 20;

}  // namespace

Cpu detect_cpu() {
  Cpu cpu = ask_processor();
  const char* wanted = std::getenv("CAPSTAN_CPU");
  const std::string_view limit = wanted != nullptr ? wanted : "";
  if (limit == "avx512" || limit == "avx2" || limit == "plain") cpu.amx = false;
  if (limit == "avx2" && cpu.isa == Isa::kAvx512) cpu.isa = Isa::kAvx2;
  if (limit == "plain") cpu.isa = Isa::kPlain;
  return cpu;
}

template <class T>
Buffer<T>::Buffer(std::int64_t size) : size_(size) {
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
#if defined(__linux__)
  if (bytes >= kPage) {
    // The system aligns large mappings to large pages itself.
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    madvise(mapped, bytes, MADV_HUGEPAGE);
    data_ = {static_cast<T*>(mapped), Free{bytes}};
    return;
  }
#endif
  void* memory = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  data_ = {static_cast<T*>(memory), Free{}};
}

template <class T>
void Buffer<T>::Free::operator()(T* memory) const {
#if defined(__linux__)
  if (mapped != 0) {
    munmap(memory, mapped);
    return;
  }
#endif
  std::free(memory);
}

template class Buffer<float>;
template class Buffer<std::uint16_t>;
template class Buffer<std::int8_t>;

Team::Team(int num_threads) : size_(num_threads < 1 ? 1 : num_threads) {
  for (int i = 1; i < size_; ++i) threads_.emplace_back([this, i] { serve(i); });
}

Team::~Team() {
  stopping_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::start(Job job, void* context) {
  if (size_ > 1) {
    job_ = job;
    context_ = context;
    running_.store(size_ - 1, std::memory_order_relaxed);
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
  }
  job(context, 0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins)
    spins < kBarrierSpins ? relax() : std::this_thread::yield();
}

void Team::serve(int thread) {
  for (std::uint32_t seen = 0;; ++seen) {
    for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpins)
        relax();
      else
        epoch_.wait(seen, std::memory_order_acquire);
    }
    if (stopping_) return;
    job_(context_, thread);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

void Team::barrier() {
  if (size_ == 1) return;
  const std::uint32_t round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    return;
  }
  for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
    spins < kBarrierSpins ? relax() : std::this_thread::yield();
}

}  // namespace capstan::kernels
