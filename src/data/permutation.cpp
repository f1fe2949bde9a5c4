#include <algorithm>
#include <bit>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "capstan/data/sampler.h"

namespace capstan {
namespace {

constexpr int kMinHalfBits = 4;  // small domains mix badly

// Stafford's 13th variant of the 64-bit finaliser of MurmurHash3 (the one in SplitMix64).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

Permutation::Permutation(std::int64_t size, std::uint64_t key) : size_(static_cast<std::uint64_t>(size)) {
  CAPSTAN_ASSERT(size > 0);
  half_bits_ = std::max(kMinHalfBits, (static_cast<int>(std::bit_width(size_ - 1)) + 1) / 2);
  std::uint64_t number = 0;
  for (std::uint64_t& round_key : keys_) round_key = stream_seed(key, "feistel", number++);
}

// The network works on 2^(2 * half_bits) numbers, at most four times as many as there are for large sizes.
std::int64_t Permutation::operator()(std::int64_t index) const {
  auto x = static_cast<std::uint64_t>(index);
  do {
    x = encrypt(x);
  } while (x >= size_);
  return static_cast<std::int64_t>(x);
}

std::uint64_t Permutation::encrypt(std::uint64_t x) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = x >> half_bits_, right = x & mask;
  for (const std::uint64_t key : keys_) {
    const std::uint64_t next = left ^ (mix(right + key) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

}  // namespace capstan
