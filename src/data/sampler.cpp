// A shuffled order without a list: a keyed permutation of the numbers below N, computed for one number at a time.
#include <algorithm>
#include <array>
#include <bit>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "capstan/data/loader.h"

namespace capstan {
namespace {

constexpr std::size_t kRounds = 8;
constexpr int kMinHalfBits = 4;  // small domains mix badly

// Stafford's 13th variant of the 64-bit finaliser of MurmurHash3 (the one in SplitMix64).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A balanced Feistel network over 2^(2 * half_bits) numbers; outside [0, size) it is walked again until it lands
// inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002), at most 4 steps on average for large N.
class Permutation {
 public:
  Permutation(std::uint64_t size, std::uint64_t key) : size_(size) {
    const int bits = std::bit_width(size - 1);
    half_bits_ = std::max(kMinHalfBits, (bits + 1) / 2);
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = stream_seed(key, "feistel", i);
  }

  std::uint64_t operator()(std::uint64_t x) const {
    do {
      x = encrypt(x);
    } while (x >= size_);
    return x;
  }

 private:
  std::uint64_t encrypt(std::uint64_t x) const {
    const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
    std::uint64_t left = x >> half_bits_, right = x & mask;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t next = left ^ (mix(right + key) & mask);
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  std::uint64_t size_;
  int half_bits_ = 0;
  std::array<std::uint64_t, kRounds> keys_{};
};

}  // namespace

Sampler::Sampler(std::int64_t size, bool shuffle, std::uint64_t seed) : size_(size), shuffle_(shuffle), seed_(seed) {
  if (size < 1) throw DataError("there is nothing to sample from: the split holds no caption");
}

std::int64_t Sampler::at(std::int64_t position) const {
  CAPSTAN_ASSERT(position >= 0);
  const std::int64_t epoch = position / size_, index = position % size_;
  if (!shuffle_) return index;
  const Permutation permutation(static_cast<std::uint64_t>(size_),
                                stream_seed(seed_, "sampler", static_cast<std::uint64_t>(epoch)));
  return static_cast<std::int64_t>(permutation(static_cast<std::uint64_t>(index)));
}

}  // namespace capstan
