// Products of matrices and reading memory, on all threads.
#include "machine.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "generate/kernels/matrix.h"

#if defined(__x86_64__)
#define BENCH_FOR_EVERY_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BENCH_FOR_EVERY_PROCESSOR
#endif

namespace bench {
namespace {

namespace kernels = capstan::kernels;
using kernels::Buffer;

constexpr std::int64_t kRows = 8 * 197, kPaddedRows = (kRows + 31) / 32 * 32 + 32, kWidth = 768;
// Columns of a block's products with 768 numbers in a row; the last one is cut into four of them, as the encoder does.
constexpr std::int64_t kColumns[] = {2304, 768, 3072, 768, 768, 768, 768};

struct alignas(64) Lane {
  using Vector = std::uint64_t __attribute__((vector_size(64)));
  Vector value;
};

// The sum keeps the reads from being left out. `ahead`: bytes that are asked for early, 0 for none.
BENCH_FOR_EVERY_PROCESSOR std::uint64_t read_all(const Lane* from, std::int64_t lanes, std::int64_t ahead) {
  Lane::Vector sums[4] = {};
  for (std::int64_t i = 0; i + 4 <= lanes; i += 4) {
    for (std::int64_t j = 0; j < 4; ++j) {
      if (ahead > 0) __builtin_prefetch(reinterpret_cast<const char*>(from + i + j) + ahead);
      sums[j] += from[i + j].value;
    }
  }
  const Lane::Vector sum = sums[0] + sums[1] + sums[2] + sums[3];
  std::uint64_t total = 0;
  for (int i = 0; i < 8; ++i) total += sum[i];
  return total;
}

// Amount per second: one call to warm up, then calls until the time is over.
template <class Work>
double rate_of(double amount, double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  work();
  const auto begin = Clock::now();
  std::chrono::duration<double> elapsed{0};
  int calls = 0;
  do {
    work();
    ++calls;
    elapsed = Clock::now() - begin;
  } while (elapsed.count() < seconds);
  return amount * calls / elapsed.count();
}

double library_rate(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& weights, double seconds) {
  double operations = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    operations += 2.0 * static_cast<double>(left[i].numel()) * static_cast<double>(weights[i].size(0));
  return rate_of(operations, seconds, [&] {
    for (std::size_t i = 0; i < weights.size(); ++i) at::linear(left[i], weights[i]);
  });
}

double library_rate(at::ScalarType type, double seconds) {
  const c10::InferenceMode no_gradients;
  const auto random = [&](std::int64_t rows, std::int64_t columns) { return at::randn({rows, columns}).to(type); };
  const at::Tensor x = random(kRows, kWidth), mid = random(kRows, 4 * kWidth), square = random(3072, 3072);
  const std::vector<at::Tensor> weights{random(3 * kWidth, kWidth), random(kWidth, kWidth), random(4 * kWidth, kWidth),
                                        random(kWidth, 4 * kWidth)};
  return std::max(library_rate({x, x, x, mid}, weights, seconds / 2), library_rate({square}, {square}, seconds / 2));
}

// As the encoder multiplies: hidden states as planes of bfloat16, rows in pieces that stay in the cache.
double own_rate(kernels::Team& team, int num_planes, double seconds) {
  const kernels::Cpu cpu = kernels::detect_cpu();
  if (!cpu.amx) return 0;
  const auto type = num_planes == 1 ? kernels::WeightType::kBfloat16 : kernels::WeightType::kFloat32;
  std::vector<kernels::PackedMatrix> weights;
  double operations = 0;
  for (const std::int64_t columns : kColumns) {
    weights.emplace_back(at::randn({columns, kWidth}), at::Tensor(), type, cpu);
    operations += 2.0 * kRows * kWidth * static_cast<double>(columns);
  }
  const Buffer<std::uint16_t> planes(num_planes * kPaddedRows * kWidth);
  for (std::int64_t i = 0; i < planes.size(); ++i) planes.data()[i] = kernels::to_bf16(0.25F + 0.001F * (i % 997));
  const Buffer<float> out(kPaddedRows * 4 * kWidth);
  std::vector<kernels::Scratch> scratch(static_cast<std::size_t>(team.size()));
  for (auto& of_thread : scratch) of_thread.tiles = Buffer<std::uint16_t>(3 * kWidth * kernels::kPanel);
  const std::int64_t piece = std::max<std::int64_t>((1 << 20) / (kWidth * 2 * num_planes) / 32 * 32, 64);
  auto work = [&](int thread) {
    const kernels::TileScope tiles(cpu);
    for (const kernels::PackedMatrix& matrix : weights) {
      const kernels::Operand x{.form = num_planes == 3 ? kernels::Form::kPlanes3 : kernels::Form::kPlanes1,
                               .rows = kRows,
                               .planes = planes.data(),
                               .ld = kWidth,
                               .plane_stride = kPaddedRows * kWidth};
      for (std::int64_t row = 0; row < kRows; row += piece)
        kernels::multiply(cpu, matrix, x,
                          {.rows = {row, std::min(kRows, row + piece)},
                           .panels = kernels::share(matrix.panels(), thread, team.size())},
                          {.out = out.data(), .ld = matrix.n}, scratch[static_cast<std::size_t>(thread)]);
      team.barrier();
    }
  };
  return rate_of(operations, seconds, [&] { team.run(work); });
}

}  // namespace

struct Machine::State {
  explicit State(int num_threads) : team(num_threads) {}
  kernels::Team team;
  Buffer<float> memory;
  std::atomic<std::uint64_t> sum = 0;
};

Machine::Machine(int num_threads) : state_(std::make_unique<State>(num_threads)) {}
Machine::~Machine() = default;

double Machine::product_rate(const std::string& what, double seconds) {
  if (what == "float32") return library_rate(at::kFloat, seconds);
  if (what == "bfloat16") return library_rate(at::kBFloat16, seconds);
  if (what == "own float32") return own_rate(state_->team, 3, seconds);
  if (what == "own bfloat16") return own_rate(state_->team, 1, seconds);
  throw std::invalid_argument("no such product: " + what);
}

double Machine::read_rate(std::int64_t bytes, double seconds) {
  State& state = *state_;
  const std::int64_t lanes = bytes / 64;
  if (state.memory.size() < lanes * 16) {
    state.memory = Buffer<float>(lanes * 16);
    std::fill_n(state.memory.data(), lanes * 16, 1.0F);
  }
  const auto* from = reinterpret_cast<const Lane*>(state.memory.data());
  double best = 0;
  for (const std::int64_t ahead : {0, 1024, 4096}) {
    auto work = [&](int thread) {
      const kernels::Share mine = kernels::share(lanes, thread, state.team.size(), 4);
      state.sum += read_all(from + mine.begin, mine.end - mine.begin, ahead);
    };
    best = std::max(best, rate_of(static_cast<double>(lanes) * 64, seconds / 3, [&] { state.team.run(work); }));
  }
  return best;
}

}  // namespace bench
