// sampler -> collator -> batch, prefetched by worker threads in exact order.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "capstan/data/batch.h"
#include "capstan/data/cache.h"

namespace capstan {

// Order of captions over epochs. Position is a single number, so it is saved and restored in O(1).
class Sampler {
 public:
  // `shuffle`: a permutation of all captions seeded by (seed, epoch); else in order.
  Sampler(std::int64_t size, bool shuffle, std::uint64_t seed);
  std::int64_t size() const { return size_; }
  // Sample number `position` counted from the start of training (epoch = position / size).
  std::int64_t at(std::int64_t position) const;

 private:
  std::int64_t size_;
  bool shuffle_;
  std::uint64_t seed_;
};

// Pads to the longest caption of the batch; captions longer than `max_tokens` are cut before EOS is added.
struct Collator {
  std::int64_t eos_token_id = 50256;
  std::int64_t max_tokens = 64;
  CaptionBatch operator()(const Cache& cache, const std::vector<std::int64_t>& captions) const;
};

struct LoaderOptions {
  std::int64_t batch_size = 8;
  int num_workers = 1;
  int prefetch = 4;        // batches ready ahead of the trainer
  std::int64_t start = 0;  // first sample position (a resumed run)
};

// Endless batches of a cache; the same batches for any number of workers. Errors of workers are rethrown by next().
class Loader {
 public:
  Loader(std::shared_ptr<const Cache> cache, Sampler sampler, Collator collator, const LoaderOptions& options);
  ~Loader();
  CaptionBatch next();
  // Sample position after the last batch returned by next().
  std::int64_t position() const;
  double wait_seconds() const;  // time next() spent waiting for workers

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
