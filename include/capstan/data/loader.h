// sampler -> collator -> batch, prefetched by worker threads in exact order.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "capstan/data/batch.h"
#include "capstan/data/cache.h"
#include "capstan/data/sampler.h"
#include "capstan/image/transform.h"

namespace capstan {

// Pads to the longest caption of the batch; captions longer than `max_tokens` are cut before EOS is added.
// Samples of one caption each share a picture that occurs again, unless `keep_pictures`. Otherwise every sample gets
// as many rows as the one with most captions, the ones too many without a label.
struct Collator {
  std::int64_t eos_token_id = 50256;
  std::int64_t max_tokens = 64;
  bool keep_pictures = false;  // one picture for each sample: they will be augmented differently
  // `pixels_PHWC`: uint8 memory for a picture of each sample; undefined: new memory is taken.
  CaptionBatch operator()(const Cache& cache, const std::vector<Sample>& samples, at::Tensor pixels_PHWC = {}) const;
};

struct LoaderOptions {
  std::int64_t batch_size = 8;  // samples, of this process
  int num_workers = 1;
  int prefetch = 4;        // batches ready ahead of the trainer
  std::int64_t start = 0;  // first sample position (a resumed run)
  // The processes of a run take turns: of every batch_size * world_size samples, `rank` takes its own batch_size, so
  // all have equal batches, and a run may go on with another number of processes.
  int rank = 0;
  int world_size = 1;
  bool pin_memory = false;                           // pictures in page-locked memory, for copies to a GPU
  std::shared_ptr<const Augmentation> augmentation;  // null: pictures stay as they are
  std::uint64_t seed = 0;                            // of the augmentation, with the epoch and the (first) caption
};

// Endless batches of a cache; the same batches for any number of workers. Errors of workers are rethrown by next().
class Loader {
 public:
  Loader(std::shared_ptr<const Cache> cache, std::shared_ptr<const Sampler> sampler, Collator collator,
         const LoaderOptions& options);
  ~Loader();
  CaptionBatch next();
  // Sample position, over all processes, after the last batch returned by next().
  std::int64_t position() const;
  double wait_seconds() const;  // time next() spent waiting for workers

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
