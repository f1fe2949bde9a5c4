// sampler -> collator -> batch on worker threads.
#include "capstan/data/loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>

#include "capstan/core/error.h"
#include "data/ordered.h"

namespace capstan {
namespace {

constexpr std::int64_t kIgnoredLabel = -100;  // the target that losses pass over

}  // namespace

CaptionBatch Collator::operator()(const Cache& cache, const std::vector<std::int64_t>& captions) const {
  const auto num_rows = static_cast<std::int64_t>(captions.size()), size = cache.image_size();
  CaptionBatch batch;
  batch.captions = captions;
  std::vector<std::vector<std::int64_t>> labels;
  std::int64_t longest = 0;
  for (const std::int64_t caption : captions) {
    batch.images.push_back(cache.image_of_caption(caption));
    auto& row = labels.emplace_back(cache.token_ids(caption));
    if (static_cast<std::int64_t>(row.size()) > max_tokens) row.resize(static_cast<std::size_t>(max_tokens));
    row.push_back(eos_token_id);
    longest = std::max(longest, static_cast<std::int64_t>(row.size()));
    batch.num_label_tokens += static_cast<std::int64_t>(row.size());
  }
  batch.labels_BT = at::full({num_rows, longest}, kIgnoredLabel, at::kLong);
  batch.pixels_BHWC = at::empty({num_rows, size, size, 3}, at::kByte);
  auto* const label_data = batch.labels_BT.mutable_data_ptr<std::int64_t>();
  auto* const pixel_data = batch.pixels_BHWC.mutable_data_ptr<std::uint8_t>();
  for (std::int64_t i = 0; i < num_rows; ++i) {
    const auto& row = labels[static_cast<std::size_t>(i)];
    std::copy(row.begin(), row.end(), label_data + i * longest);
    cache.read_pixels(batch.images[static_cast<std::size_t>(i)], pixel_data + i * size * size * 3);
  }
  return batch;
}

struct Loader::Impl {
  Impl(std::shared_ptr<const Cache> cache_in, Sampler sampler_in, Collator collator_in, const LoaderOptions& options_in)
      : cache(std::move(cache_in)),
        sampler(sampler_in),
        collator(collator_in),
        options(options_in),
        batches(options.num_workers, options.prefetch, Ordered<CaptionBatch>::kEndless,
                [this](std::int64_t number) { return make_batch(number); }) {}

  CaptionBatch make_batch(std::int64_t number) const {
    const std::int64_t first = options.start + number * options.batch_size;
    std::vector<std::int64_t> captions;
    for (std::int64_t i = 0; i < options.batch_size; ++i) captions.push_back(sampler.at(first + i));
    return collator(*cache, captions);
  }

  const std::shared_ptr<const Cache> cache;
  const Sampler sampler;
  const Collator collator;
  const LoaderOptions options;
  double wait_seconds = 0;
  Ordered<CaptionBatch> batches;  // last: its threads use everything above
};

Loader::Loader(std::shared_ptr<const Cache> cache, Sampler sampler, Collator collator, const LoaderOptions& options) {
  CAPSTAN_ASSERT(cache != nullptr && options.batch_size > 0 && options.start >= 0 && options.num_workers >= 0);
  CAPSTAN_ASSERT(sampler.size() == cache->num_captions());
  impl_ = std::make_unique<Impl>(std::move(cache), sampler, collator, options);
}

Loader::~Loader() = default;

CaptionBatch Loader::next() {
  const auto begin = std::chrono::steady_clock::now();
  CaptionBatch batch = impl_->batches.next();
  impl_->wait_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return batch;
}

std::int64_t Loader::position() const {
  return impl_->options.start + impl_->batches.taken() * impl_->options.batch_size;
}

double Loader::wait_seconds() const { return impl_->wait_seconds; }

}  // namespace capstan
