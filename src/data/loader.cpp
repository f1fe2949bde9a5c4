// sampler -> collator -> batch on worker threads.
#include "capstan/data/loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "capstan/core/error.h"
#include "data/ordered.h"
#include "data/pixel_pool.h"

namespace capstan {
namespace {

constexpr std::int64_t kIgnoredLabel = -100;  // the target that losses pass over

}  // namespace

CaptionBatch Collator::operator()(const Cache& cache, const std::vector<std::int64_t>& captions,
                                  at::Tensor pixels_BHWC) const {
  const auto num_rows = static_cast<std::int64_t>(captions.size()), size = cache.image_size();
  CaptionBatch batch;
  batch.captions = captions;
  batch.images.reserve(captions.size());
  std::vector<std::int64_t> lengths;
  lengths.reserve(captions.size());
  std::int64_t longest = 0;
  for (const std::int64_t caption : captions) {
    batch.images.push_back(cache.image_of_caption(caption));
    lengths.push_back(std::min(cache.num_tokens(caption), max_tokens));
    longest = std::max(longest, lengths.back() + 1);
    batch.num_label_tokens += lengths.back() + 1;
  }
  cache.will_read_pixels(batch.images);
  batch.labels_BT = at::full({num_rows, longest}, kIgnoredLabel, at::kLong);
  batch.pixels_BHWC = pixels_BHWC.defined() ? std::move(pixels_BHWC) : at::empty({num_rows, size, size, 3}, at::kByte);
  auto* labels = batch.labels_BT.mutable_data_ptr<std::int64_t>();
  auto* pixels = batch.pixels_BHWC.mutable_data_ptr<std::uint8_t>();
  for (std::size_t i = 0; i < captions.size(); ++i, labels += longest, pixels += size * size * 3) {
    cache.copy_token_ids(captions[i], lengths[i], labels);
    labels[lengths[i]] = eos_token_id;
    cache.read_pixels(batch.images[i], pixels);
  }
  return batch;
}

struct Loader::Impl {
  Impl(std::shared_ptr<const Cache> cache_in, std::shared_ptr<const Sampler> sampler_in, Collator collator_in,
       const LoaderOptions& options_in)
      : cache(std::move(cache_in)),
        sampler(std::move(sampler_in)),
        collator(collator_in),
        options(options_in),
        pool(std::make_shared<PixelPool>(options.pin_memory)),
        batches(options.num_workers, options.prefetch, Ordered<CaptionBatch>::kEndless,
                [this](std::int64_t number) { return make_batch(number); }) {}

  CaptionBatch make_batch(std::int64_t number) const {
    const std::int64_t first = options.start + (number * options.world_size + options.rank) * options.batch_size;
    std::vector<Sample> samples;
    std::vector<std::int64_t> captions;
    for (std::int64_t i = 0; i < options.batch_size; ++i) {
      samples.push_back(sampler->at(first + i));
      captions.push_back(samples.back().caption);
    }
    const std::int64_t size = cache->image_size();
    CaptionBatch batch = collator(*cache, captions, pool->take({options.batch_size, size, size, 3}));
    if (options.augmentation && !options.augmentation->empty()) augment(samples, batch);
    return batch;
  }

  void augment(const std::vector<Sample>& samples, CaptionBatch& batch) const {
    const auto side = static_cast<int>(cache->image_size());
    const auto bytes = static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
    auto* pixels = batch.pixels_BHWC.mutable_data_ptr<std::uint8_t>();
    for (const Sample& sample : samples) {
      Random random = Augmentation::random(options.seed, static_cast<std::uint64_t>(sample.epoch),
                                           static_cast<std::uint64_t>(sample.caption));
      options.augmentation->apply({pixels, bytes}, side, side, random);
      pixels += bytes;
    }
  }

  const std::shared_ptr<const Cache> cache;
  const std::shared_ptr<const Sampler> sampler;
  const Collator collator;
  const LoaderOptions options;
  const std::shared_ptr<PixelPool> pool;
  double wait_seconds = 0;
  Ordered<CaptionBatch> batches;  // last: its threads use everything above
};

Loader::Loader(std::shared_ptr<const Cache> cache, std::shared_ptr<const Sampler> sampler, Collator collator,
               const LoaderOptions& options) {
  CAPSTAN_ASSERT(cache != nullptr && sampler != nullptr && options.batch_size > 0 && options.start >= 0);
  CAPSTAN_ASSERT(options.num_workers >= 0 && options.rank >= 0 && options.rank < options.world_size);
  impl_ = std::make_unique<Impl>(std::move(cache), std::move(sampler), collator, options);
}

Loader::~Loader() = default;

CaptionBatch Loader::next() {
  const auto begin = std::chrono::steady_clock::now();
  CaptionBatch batch = impl_->batches.next();
  impl_->wait_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return batch;
}

std::int64_t Loader::position() const {
  const LoaderOptions& options = impl_->options;
  return options.start + impl_->batches.taken() * options.batch_size * options.world_size;
}

double Loader::wait_seconds() const { return impl_->wait_seconds; }

}  // namespace capstan
