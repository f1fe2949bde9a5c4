// From a position to a caption: which epoch, which place in it, which source, which picture.
#include "capstan/data/sampler.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <span>

#include "capstan/core/error.h"
#include "capstan/core/random.h"

namespace capstan {
namespace {

// The items (captions, or pictures) of one source and the slots of an epoch that are theirs.
struct Share {
  std::int64_t first_item = 0;
  std::int64_t num_items = 0;
  std::int64_t first_slot = 0;
  std::int64_t num_slots = 0;
};

// What samples are made from: the groups into which the captions of each picture are cut.
class Items {
 public:
  Items(const Cache& cache, const SamplerOptions& options) : per_image_(options.captions_per_image) {
    one_each_ = options.captions != "all" || per_image_ == 0;
    if (one_each_ || per_image_ == 1) return;
    first_.push_back(0);
    for (std::int64_t image = 0; image < cache.num_images(); ++image) {
      const std::int64_t count = cache.first_caption(image + 1) - cache.first_caption(image);
      first_.push_back(first_.back() + (count + per_image_ - 1) / per_image_);
    }
  }
  // Number of the first item of `image`; the number of all for num_images().
  std::int64_t first(const Cache& cache, std::int64_t image) const {
    if (one_each_) return image;
    return first_.empty() ? cache.first_caption(image) : first_[static_cast<std::size_t>(image)];
  }
  std::int64_t image(const Cache& cache, std::int64_t item) const {
    if (one_each_) return item;
    if (first_.empty()) return cache.image_of_caption(item);
    return std::upper_bound(first_.begin(), first_.end(), item) - first_.begin() - 1;
  }

 private:
  std::int64_t per_image_;
  bool one_each_;                    // an item is a picture
  std::vector<std::int64_t> first_;  // of each picture; empty where an item is a picture or a caption
};

std::vector<Share> make_shares(const Cache& cache, const Items& items) {
  std::vector<Share> shares;
  std::int64_t slots = 0;
  for (const SourceRange& range : cache.sources()) {
    const std::int64_t first = items.first(cache, range.first_image);
    Share share{.first_item = first,
                .num_items = items.first(cache, range.first_image + range.num_images) - first,
                .first_slot = slots,
                .num_slots = 0};
    share.num_slots = std::max<std::int64_t>(1, std::llround(range.weight * static_cast<double>(share.num_items)));
    slots += share.num_slots;
    shares.push_back(share);
  }
  return shares;
}

}  // namespace

struct Sampler::Impl {
  // A stretch of an epoch in the order of its lengths.
  struct Chunk {
    std::int64_t epoch = -1;
    std::int64_t number = -1;
    std::vector<std::int32_t> order;  // places within the stretch
  };

  Impl(std::shared_ptr<const Cache> cache_in, const SamplerOptions& options_in)
      : cache(std::move(cache_in)), options(options_in), items(*cache, options), shares(make_shares(*cache, items)) {
    for (const Share& share : shares) {
      size += share.num_slots;
      weighted = weighted || share.num_slots != share.num_items;
    }
  }

  std::uint64_t stream(const char* name, std::int64_t index) const {
    return stream_seed(options.seed, name, static_cast<std::uint64_t>(index));
  }

  Sample at(std::int64_t epoch, std::int64_t place) const {
    const std::int64_t slot = options.shuffle ? Permutation(size, stream("sampler", epoch))(place) : place;
    const auto after = std::upper_bound(shares.begin(), shares.end(), slot, [](std::int64_t value, const Share& share) {
      return value < share.first_slot;
    });
    return make_sample(epoch, weighted ? weighted_item(*(after - 1), epoch, slot) : slot);
  }

  // Slots of a source are filled with its items round and round, each round in another order.
  std::int64_t weighted_item(const Share& share, std::int64_t epoch, std::int64_t slot) const {
    const std::int64_t draw = epoch * share.num_slots + slot - share.first_slot;
    const std::int64_t round = draw / share.num_items, item = draw % share.num_items;
    if (!options.shuffle) return share.first_item + item;
    const std::uint64_t key =
        stream_seed(stream("source", share.first_item), "round", static_cast<std::uint64_t>(round));
    return share.first_item + Permutation(share.num_items, key)(item);
  }

  Sample make_sample(std::int64_t epoch, std::int64_t item) const {
    Sample sample{.image = items.image(*cache, item), .epoch = epoch};
    const std::int64_t first = cache->first_caption(sample.image), all = cache->first_caption(sample.image + 1) - first;
    const std::int64_t most = options.captions_per_image == 0 ? all : std::min(all, options.captions_per_image);
    std::int64_t begin = 0, count = most;
    if (options.captions == "all" && options.captions_per_image > 0) {
      begin = (item - items.first(*cache, sample.image)) * options.captions_per_image;
      count = std::min(all - begin, most);
    }
    // In an order of its own each epoch, where that decides which captions come (together).
    const bool shuffled = options.captions == "random" || (options.captions == "all" && most > 1 && options.shuffle);
    std::vector<std::int64_t> order(static_cast<std::size_t>(all));
    std::iota(order.begin(), order.end(), first);
    if (shuffled && all > 1) {
      Random random(stream_seed(stream("caption", epoch), "image", static_cast<std::uint64_t>(sample.image)));
      random.shuffle(std::span(order));
    }
    sample.captions.assign(order.begin() + begin, order.begin() + begin + count);
    return sample;
  }

  std::int64_t longest(const Sample& sample) const {
    std::int64_t tokens = 0;
    for (const std::int64_t caption : sample.captions) tokens = std::max(tokens, cache->num_tokens(caption));
    return tokens;
  }

  // Where in the epoch the sample at `place` of the grouped order stands in the ungrouped one.
  std::int64_t grouped(std::int64_t epoch, std::int64_t place) const {
    const std::int64_t number = place / kLengthChunk;
    return number * kLengthChunk + find_chunk(epoch, number)->order[static_cast<std::size_t>(place % kLengthChunk)];
  }

  // Workers are at most a few batches apart, so two stretches suffice.
  std::shared_ptr<const Chunk> find_chunk(std::int64_t epoch, std::int64_t number) const {
    const std::lock_guard lock(mutex);
    for (const auto& chunk : recent)
      if (chunk && chunk->epoch == epoch && chunk->number == number) return chunk;
    recent[1] = recent[0];
    recent[0] = make_chunk(epoch, number);
    return recent[0];
  }

  std::shared_ptr<const Chunk> make_chunk(std::int64_t epoch, std::int64_t number) const {
    const std::int64_t first = number * kLengthChunk, count = std::min(kLengthChunk, size - first);
    std::vector<std::int64_t> lengths;
    for (std::int64_t i = 0; i < count; ++i) lengths.push_back(longest(at(epoch, first + i)));
    std::vector<std::int32_t> sorted(static_cast<std::size_t>(count));
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(), [&](std::int32_t a, std::int32_t b) {
      return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
    });
    std::vector<std::int64_t> runs(static_cast<std::size_t>((count + kLengthRun - 1) / kLengthRun));
    std::iota(runs.begin(), runs.end(), 0);
    if (options.shuffle) {
      Random random(stream_seed(stream("lengths", epoch), "chunk", static_cast<std::uint64_t>(number)));
      random.shuffle(std::span(runs));
    }
    auto chunk = std::make_shared<Chunk>();
    chunk->epoch = epoch;
    chunk->number = number;
    for (const std::int64_t run : runs)
      for (std::int64_t i = run * kLengthRun; i < std::min(count, (run + 1) * kLengthRun); ++i)
        chunk->order.push_back(sorted[static_cast<std::size_t>(i)]);
    return chunk;
  }

  const std::shared_ptr<const Cache> cache;
  const SamplerOptions options;
  const Items items;
  const std::vector<Share> shares;
  std::int64_t size = 0;
  bool weighted = false;
  mutable std::mutex mutex;
  mutable std::shared_ptr<const Chunk> recent[2];
};

Sampler::Sampler(std::shared_ptr<const Cache> cache, const SamplerOptions& options) {
  CAPSTAN_ASSERT(cache != nullptr);
  if (cache->num_captions() < 1) throw DataError("there is nothing to sample from: the split holds no caption");
  if (options.captions != "all" && options.captions != "first" && options.captions != "random")
    throw ConfigError("captions: found '" + options.captions + "', expected all, first or random");
  if (options.captions_per_image < 0)
    throw ConfigError("captions_per_image: found a negative number, expected a number of captions or all");
  impl_ = std::make_unique<Impl>(std::move(cache), options);
}

Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;

std::int64_t Sampler::size() const { return impl_->size; }

Sample Sampler::at(std::int64_t position) const {
  CAPSTAN_ASSERT(position >= 0);
  const std::int64_t epoch = position / impl_->size, place = position % impl_->size;
  return impl_->at(epoch, impl_->options.group_by_length ? impl_->grouped(epoch, place) : place);
}

}  // namespace capstan
