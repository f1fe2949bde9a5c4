// The order in which captions are trained on.
//
//   sampler -> collator -> batch
//
// A sampler is an endless sequence of samples that can be asked for any position, so where training stands is one
// number, whatever the number of workers or processes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capstan/data/cache.h"

namespace capstan {

struct SamplerOptions {
  bool shuffle = true;  // a permutation seeded by (seed, epoch); else in the order of the cache
  std::uint64_t seed = 0;
  // Of each picture every caption is a sample of its own ("all"), or only the first ("first"), or another one each
  // epoch ("random").
  std::string captions = "all";
  // Captions of a picture that are trained on together; 0: all of them. With captions "all", an epoch still holds every
  // caption once: a picture comes in groups of so many, cut anew each epoch. "first" and "random" take so many of each.
  std::int64_t captions_per_image = 1;
  // Samples of similar length come together, to save padding: stretches of kLengthChunk samples are sorted by length
  // and cut into runs, and the runs shuffled.
  bool group_by_length = false;
};

struct Sample {
  std::int64_t image = 0;
  std::vector<std::int64_t> captions{};  // of that picture, at least one
  std::int64_t epoch = 0;
};

class Sampler {
 public:
  static constexpr std::int64_t kLengthChunk = 8192;
  static constexpr std::int64_t kLengthRun = 256;

  // DataError when the split holds no caption. Sources whose weight is not 1 are drawn as often as their weight says
  // within each epoch, every one of their captions equally often over time.
  Sampler(std::shared_ptr<const Cache> cache, const SamplerOptions& options);
  ~Sampler();
  Sampler(Sampler&&) noexcept;

  std::int64_t size() const;  // samples in an epoch
  // Sample number `position` counted from the start of training (epoch = position / size). Thread-safe.
  Sample at(std::int64_t position) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A permutation of the numbers below `size` that is computed for one number at a time, without a list: a balanced
// Feistel network, walked until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Permutation {
 public:
  Permutation(std::int64_t size, std::uint64_t key);
  std::int64_t operator()(std::int64_t index) const;

 private:
  static constexpr int kRounds = 8;
  std::uint64_t encrypt(std::uint64_t x) const;
  std::uint64_t size_;
  int half_bits_ = 0;
  std::uint64_t keys_[kRounds] = {};
};

}  // namespace capstan
