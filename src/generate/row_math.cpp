// Row passes with the vector types of GCC and Clang, compiled for the widest registers that the machine has.
#include "generate/row_math.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#define CAPSTAN_WIDE __attribute__((target("avx2,fma")))
#define CAPSTAN_WIDEST __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#endif

namespace capstan::search {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kLanes = 16;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Ints = std::int32_t __attribute__((vector_size(kLanes * sizeof(float))));

// Everything below is inlined into the functions that choose the instruction set, and takes vectors by reference: by
// value they would be passed differently on each machine.
#define CAPSTAN_INLINE [[gnu::always_inline]] inline

CAPSTAN_INLINE void load(Floats& lanes, const float* from) { std::memcpy(&lanes, from, sizeof lanes); }

// exp(x) for x <= 0, to 2 units in the last place; 1e-38 and below for x < -87. Polynomial of the Cephes library.
CAPSTAN_INLINE void exp_of(Floats& x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Floats lowest = Floats{} - 87.3f;
  x = x > lowest ? x : lowest;
  const Floats n = (x * 1.44269504f + kRound) - kRound;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &bits, sizeof scale);
  x = p * scale;
}

CAPSTAN_INLINE float largest(const float* row, std::size_t size) {
  float result = -kInfinity;
  std::size_t i = 0;
  if (size >= kLanes) {
    Floats lanes, next;
    load(lanes, row);
    for (i = kLanes; i + kLanes <= size; i += kLanes) {
      load(next, row + i);
      lanes = next > lanes ? next : lanes;
    }
    for (int lane = 0; lane < kLanes; ++lane) result = lanes[lane] > result ? lanes[lane] : result;
  }
  for (; i < size; ++i) result = row[i] > result ? row[i] : result;
  return result;
}

// Blocks keep the sums of single precision short.
CAPSTAN_INLINE double sum_exp(const float* row, std::size_t size, float max) {
  constexpr std::size_t kBlock = 2048;
  double total = 0;
  Floats lanes;
  for (std::size_t start = 0; start < size; start += kBlock) {
    const std::size_t end = std::min(size, start + kBlock);
    Floats sum{};
    std::size_t i = start;
    for (; i + kLanes <= end; i += kLanes) {
      load(lanes, row + i);
      lanes = lanes - max;
      exp_of(lanes);
      sum = sum + lanes;
    }
    for (int lane = 0; lane < kLanes; ++lane) total += static_cast<double>(sum[lane]);
    for (; i < end; ++i) total += static_cast<double>(std::exp(row[i] - max));
  }
  return total;
}

CAPSTAN_INLINE void shift(float* row, std::size_t size, float max, float log_sum) {
  for (std::size_t i = 0; i < size; ++i) row[i] = (row[i] - max) - log_sum;
}

struct Passes {
  float (*largest)(const float*, std::size_t);
  double (*sum_exp)(const float*, std::size_t, float);
  void (*shift)(float*, std::size_t, float, float);
};

#define CAPSTAN_PASSES(suffix, target)                                                                              \
  target float largest_##suffix(const float* row, std::size_t size) { return largest(row, size); }                  \
  target double sum_exp_##suffix(const float* row, std::size_t size, float max) { return sum_exp(row, size, max); } \
  target void shift_##suffix(float* row, std::size_t size, float max, float log_sum) {                              \
    shift(row, size, max, log_sum);                                                                                 \
  }                                                                                                                 \
  constexpr Passes k##suffix##Passes{largest_##suffix, sum_exp_##suffix, shift_##suffix};

CAPSTAN_PASSES(Plain, )
#if defined(CAPSTAN_WIDE)
CAPSTAN_PASSES(Wide, CAPSTAN_WIDE)
CAPSTAN_PASSES(Widest, CAPSTAN_WIDEST)
#endif

Passes choose() {
#if defined(CAPSTAN_WIDE)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return kWidestPasses;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kWidePasses;
#endif
  return kPlainPasses;
}

const Passes& passes() {
  static const Passes chosen = choose();
  return chosen;
}

}  // namespace

float RowMax::scan(std::span<const float> row) {
  blocks_.resize((row.size() + kBlock - 1) / kBlock);
  max_ = -kInfinity;
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const std::size_t start = block * kBlock;
    blocks_[block] = passes().largest(row.data() + start, std::min(kBlock, row.size() - start));
    max_ = std::max(max_, blocks_[block]);
  }
  return max_;
}

float log_sum_exp(std::span<const float> row, float max) {
  return static_cast<float>(std::log(passes().sum_exp(row.data(), row.size(), max)));
}

void normalize(std::span<float> row, float max, float log_sum) { passes().shift(row.data(), row.size(), max, log_sum); }

void best_of(std::span<const float> row, const RowMax& maxima, std::size_t k, std::vector<Scored>& best) {
  best.clear();
  k = std::min(k, row.size());
  // k blocks reach the k-th largest block maximum, so that the k best are not below it.
  thread_local std::vector<float> order;
  float least = -kInfinity;
  const auto blocks = maxima.blocks();
  if (k == 1) {
    least = maxima.max();
  } else if (k <= blocks.size()) {
    order.assign(blocks.begin(), blocks.end());
    const auto kth = order.begin() + static_cast<std::ptrdiff_t>(k) - 1;
    std::nth_element(order.begin(), kth, order.end(), std::greater<>());
    least = *kth;
  }
  for (std::size_t block = 0; block < blocks.size(); ++block) {
    if (blocks[block] < least) continue;
    const std::size_t start = block * RowMax::kBlock, end = std::min(row.size(), start + RowMax::kBlock);
    for (std::size_t i = start; i < end; ++i)
      if (row[i] >= least) best.push_back({row[i], static_cast<std::int32_t>(i)});
  }
  const std::size_t found = std::min(k, best.size());
  const auto last = best.begin() + static_cast<std::ptrdiff_t>(found);
  if (best.size() > 4 * k && found > 0) {
    std::nth_element(best.begin(), last - 1, best.end(), ahead);
    std::sort(best.begin(), last, ahead);
  } else {
    std::partial_sort(best.begin(), last, best.end(), ahead);
  }
  best.resize(found);
  while (best.size() < k) best.push_back({-kInfinity, 0});
}

}  // namespace capstan::search
