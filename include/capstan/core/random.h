// Random numbers that are the same on every platform and can be saved.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace capstan {

// A 64-bit hash of text (FNV-1a finished with SplitMix64), stable across platforms and versions.
std::uint64_t stable_hash(std::string_view text);
// The seed of a named stream: independent streams come from one user seed.
std::uint64_t stream_seed(std::uint64_t seed, std::string_view stream, std::uint64_t index = 0);

// xoshiro256** (Blackman and Vigna, 2018), seeded through SplitMix64.
class Random {
 public:
  using State = std::array<std::uint64_t, 4>;
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  double uniform();                                           // [0, 1)
  double uniform(double low, double high);                    // [low, high)
  double normal();                                            // mean 0, deviation 1
  std::uint64_t below(std::uint64_t bound);                   // [0, bound), unbiased; bound > 0
  std::int64_t between(std::int64_t low, std::int64_t high);  // [low, high]
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  State state_;
};

}  // namespace capstan
