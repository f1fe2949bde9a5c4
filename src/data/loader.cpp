// sampler -> collator -> batch on worker threads.
#include "capstan/data/loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "capstan/core/error.h"
#include "data/ordered.h"
#include "data/pixel_pool.h"

namespace capstan {
namespace {

constexpr std::int64_t kIgnoredLabel = -100;  // the target that losses pass over

// Which picture and which caption each row has.
void lay_out(const std::vector<Sample>& samples, bool keep_pictures, CaptionBatch& batch) {
  std::size_t most = 1;
  for (const Sample& sample : samples) most = std::max(most, sample.captions.size());
  std::map<std::int64_t, std::int64_t> places;  // of pictures that may be shared
  for (const Sample& sample : samples) {
    auto place = static_cast<std::int64_t>(batch.images.size());
    if (most == 1 && !keep_pictures) place = places.try_emplace(sample.image, place).first->second;
    if (place == static_cast<std::int64_t>(batch.images.size())) batch.images.push_back(sample.image);
    batch.num_captions += static_cast<std::int64_t>(sample.captions.size());
    for (std::size_t i = 0; i < most; ++i) {
      batch.captions.push_back(i < sample.captions.size() ? sample.captions[i] : -1);
      batch.picture_of_row.push_back(place);
    }
  }
}

}  // namespace

std::int64_t CaptionBatch::rows_per_picture() const {
  const std::size_t rows = picture_of_row.size(), pictures = images.size();
  if (pictures == 0 || rows % pictures != 0) return 0;
  for (std::size_t row = 0; row < rows; ++row)
    if (picture_of_row[row] != static_cast<std::int64_t>(row / (rows / pictures))) return 0;
  return static_cast<std::int64_t>(rows / pictures);
}

CaptionBatch Collator::operator()(const Cache& cache, const std::vector<Sample>& samples,
                                  at::Tensor pixels_PHWC) const {
  CaptionBatch batch;
  lay_out(samples, keep_pictures, batch);
  std::vector<std::int64_t> lengths;
  std::int64_t longest = 1;
  for (const std::int64_t caption : batch.captions) {
    lengths.push_back(caption < 0 ? -1 : std::min(cache.num_tokens(caption), max_tokens));
    longest = std::max(longest, lengths.back() + 1);
    batch.num_label_tokens += lengths.back() + 1;
  }
  cache.will_read_pixels(batch.images);
  const auto num_rows = static_cast<std::int64_t>(batch.captions.size()), size = cache.image_size();
  const auto num_pictures = static_cast<std::int64_t>(batch.images.size());
  batch.labels_BT = at::full({num_rows, longest}, kIgnoredLabel, at::kLong);
  batch.pixels_PHWC = pixels_PHWC.defined() ? pixels_PHWC.narrow(0, 0, num_pictures)
                                            : at::empty({num_pictures, size, size, 3}, at::kByte);
  auto* labels = batch.labels_BT.mutable_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < batch.captions.size(); ++i, labels += longest) {
    if (batch.captions[i] < 0) continue;
    cache.copy_token_ids(batch.captions[i], lengths[i], labels);
    labels[lengths[i]] = eos_token_id;
  }
  auto* pixels = batch.pixels_PHWC.mutable_data_ptr<std::uint8_t>();
  for (const std::int64_t image : batch.images) {
    cache.read_pixels(image, pixels);
    pixels += size * size * 3;
  }
  return batch;
}

struct Loader::Impl {
  Impl(std::shared_ptr<const Cache> cache_in, std::shared_ptr<const Sampler> sampler_in, Collator collator_in,
       const LoaderOptions& options_in)
      : cache(std::move(cache_in)),
        sampler(std::move(sampler_in)),
        collator(with_own_pictures(collator_in, options_in)),
        options(options_in),
        pool(std::make_shared<PixelPool>(options.pin_memory)),
        batches(options.num_workers, options.prefetch, Ordered<CaptionBatch>::kEndless,
                [this](std::int64_t number) { return make_batch(number); }) {}

  static Collator with_own_pictures(Collator collator, const LoaderOptions& options) {
    collator.keep_pictures = options.augmentation && !options.augmentation->empty();
    return collator;
  }

  CaptionBatch make_batch(std::int64_t number) const {
    const std::int64_t first = options.start + (number * options.world_size + options.rank) * options.batch_size;
    std::vector<Sample> samples;
    for (std::int64_t i = 0; i < options.batch_size; ++i) samples.push_back(sampler->at(first + i));
    const std::int64_t size = cache->image_size();
    CaptionBatch batch = collator(*cache, samples, pool->take({options.batch_size, size, size, 3}));
    if (collator.keep_pictures) augment(samples, batch);
    return batch;
  }

  void augment(const std::vector<Sample>& samples, CaptionBatch& batch) const {
    const auto side = static_cast<int>(cache->image_size());
    const auto bytes = static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
    auto* pixels = batch.pixels_PHWC.mutable_data_ptr<std::uint8_t>();
    for (const Sample& sample : samples) {
      Random random = Augmentation::random(options.seed, static_cast<std::uint64_t>(sample.epoch),
                                           static_cast<std::uint64_t>(sample.captions.front()));
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
