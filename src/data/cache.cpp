// A split's shards as one sequence of images and one of captions.
#include "capstan/data/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/image/decode.h"
#include "data/manifest.h"
#include "data/shard.h"

namespace capstan {
namespace {

// Which shard holds a global number, by the first number of each shard.
struct Place {
  std::size_t shard;
  std::int64_t local;
};

Place find_place(const std::vector<std::int64_t>& starts, std::int64_t index) {
  CAPSTAN_ASSERT(index >= 0 && index < starts.back());
  const auto after = std::upper_bound(starts.begin(), starts.end(), index);
  const auto shard = static_cast<std::size_t>(after - starts.begin()) - 1;
  return {shard, index - starts[shard]};
}

void check_against_manifest(const Shard& shard, const ShardRecord& record, const Manifest& manifest,
                            const std::string& split) {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds)
      throw DataError(
          fmt::format("{}: {} is not what manifest.json says; run prepare again", shard.path().string(), what));
  };
  require(shard.num_images() == record.images, "the number of images");
  require(shard.num_captions() == record.captions, "the number of captions");
  require(shard.header().split == split, "the split '" + shard.header().split + "'");
  require(shard.header().store == manifest.store, "the store '" + shard.header().store + "'");
  require(shard.header().image_size == manifest.image_processor.size, "the image size");
  require(shard.header().tokenizer == manifest.tokenizer_fingerprint, "the tokenizer's fingerprint");
}

}  // namespace

struct Cache::Impl {
  fs::path directory;
  Manifest manifest;
  std::vector<Shard> shards;
  std::vector<std::int64_t> image_starts{0}, caption_starts{0};  // of each shard, and the total at the end
  mutable std::once_flag tokenizer_once;
  mutable std::shared_ptr<const Tokenizer> tokenizer;

  Place image_place(std::int64_t image) const { return find_place(image_starts, image); }
  Place caption_place(std::int64_t caption) const { return find_place(caption_starts, caption); }
};

Cache::Cache(const fs::path& directory, const std::string& split) : impl_(std::make_unique<Impl>()) {
  impl_->directory = directory;
  impl_->manifest = read_manifest(directory);
  const auto* const records = impl_->manifest.find(split);
  if (records == nullptr)
    throw DataError(fmt::format("{}: the cache has no split '{}'; it has: {}", directory.string(), split,
                                join(splits(directory), ", ")));
  for (const ShardRecord& record : *records) {
    const Shard& shard = impl_->shards.emplace_back(directory / record.file, record.bytes);
    check_against_manifest(shard, record, impl_->manifest, split);
    impl_->image_starts.push_back(impl_->image_starts.back() + shard.num_images());
    impl_->caption_starts.push_back(impl_->caption_starts.back() + shard.num_captions());
  }
}

Cache::~Cache() = default;

std::int64_t Cache::num_images() const { return impl_->image_starts.back(); }
std::int64_t Cache::num_captions() const { return impl_->caption_starts.back(); }
std::int64_t Cache::image_size() const { return impl_->manifest.image_processor.size; }

std::int64_t Cache::image_of_caption(std::int64_t index) const {
  const auto [shard, local] = impl_->caption_place(index);
  return impl_->image_starts[shard] + impl_->shards[shard].image_of_caption(local);
}

std::int64_t Cache::first_caption(std::int64_t image) const {
  if (image == num_images()) return num_captions();
  const auto [shard, local] = impl_->image_place(image);
  return impl_->caption_starts[shard] + impl_->shards[shard].first_caption(local);
}

std::vector<std::int64_t> Cache::token_ids(std::int64_t caption) const {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(num_tokens(caption)));
  copy_token_ids(caption, static_cast<std::int64_t>(ids.size()), ids.data());
  return ids;
}

void Cache::copy_token_ids(std::int64_t caption, std::int64_t count, std::int64_t* out) const {
  const auto [shard, local] = impl_->caption_place(caption);
  impl_->shards[shard].copy_token_ids(local, count, out);
  for (std::int64_t i = 0; i < count; ++i)
    if (out[i] < 0 || out[i] >= impl_->manifest.vocab_size)
      throw DataError(fmt::format("{}: caption {} holds the id {}, the vocabulary has {}; run prepare again",
                                  impl_->shards[shard].path().string(), local, out[i], impl_->manifest.vocab_size));
}

std::int64_t Cache::num_tokens(std::int64_t caption) const {
  const auto [shard, local] = impl_->caption_place(caption);
  return impl_->shards[shard].num_tokens_of(local);
}

std::string Cache::caption(std::int64_t caption) const {
  const auto [shard, local] = impl_->caption_place(caption);
  return impl_->shards[shard].caption(local);
}

std::vector<std::string> Cache::captions_of(std::int64_t image) const {
  std::vector<std::string> captions;
  for (std::int64_t i = first_caption(image); i < first_caption(image + 1); ++i) captions.push_back(caption(i));
  return captions;
}

std::string Cache::image_id(std::int64_t image) const {
  const auto [shard, local] = impl_->image_place(image);
  return impl_->shards[shard].image_id(local);
}

std::string Cache::image_file(std::int64_t image) const {
  const auto [shard, local] = impl_->image_place(image);
  return impl_->shards[shard].image_file(local);
}

void Cache::read_pixels(std::int64_t image, std::uint8_t* out) const {
  const auto [index, local] = impl_->image_place(image);
  const Shard& shard = impl_->shards[index];
  if (shard.header().store == "raw") return shard.read_pixels(local, out);
  const std::string name = fmt::format("{}: image {}", shard.path().string(), local);
  const Image decoded = decode_image(shard.jpeg(local), name, {.max_pixels = image_size() * image_size()});
  if (decoded.height != image_size() || decoded.width != image_size())
    throw DataError(fmt::format("{} is {} x {} pixels, expected {} x {}; run prepare again", name, decoded.height,
                                decoded.width, image_size(), image_size()));
  std::copy(decoded.rgb.begin(), decoded.rgb.end(), out);
}

void Cache::will_read_pixels(const std::vector<std::int64_t>& images) const {
  if (impl_->manifest.store != "raw") return;  // JPEG files are small, and mapped
  for (const std::int64_t image : images) {
    const auto [shard, local] = impl_->image_place(image);
    impl_->shards[shard].will_read_pixels(local);
  }
}

// Sources are written one after another, so each is a run of pictures.
std::vector<SourceRange> Cache::sources() const {
  std::vector<SourceRange> ranges;
  std::int32_t current = -1;
  for (std::size_t s = 0; s < impl_->shards.size(); ++s) {
    const Shard& shard = impl_->shards[s];
    for (std::int64_t image = 0; image < shard.num_images(); ++image) {
      const std::int32_t source = shard.source(image);
      if (source < current || source >= static_cast<std::int32_t>(impl_->manifest.sources.size()))
        throw DataError(fmt::format("{}: image {} says it is of source {}, out of order; run prepare again",
                                    shard.path().string(), image, source));
      if (source != current)
        ranges.push_back({.description = impl_->manifest.sources[static_cast<std::size_t>(source)].description,
                          .weight = impl_->manifest.sources[static_cast<std::size_t>(source)].weight,
                          .first_image = impl_->image_starts[s] + image,
                          .num_images = 0,
                          .first_caption = impl_->caption_starts[s] + shard.first_caption(image),
                          .num_captions = 0});
      current = source;
      ++ranges.back().num_images;
      ranges.back().num_captions += shard.first_caption(image + 1) - shard.first_caption(image);
    }
  }
  return ranges;
}

std::shared_ptr<const Tokenizer> Cache::tokenizer() const {
  std::call_once(impl_->tokenizer_once, [this] {
    const fs::path folder = impl_->directory / kTokenizerFolder;
    if (tokenizer_fingerprint(folder) != impl_->manifest.tokenizer_fingerprint)
      throw DataError(
          fmt::format("{}: not the tokenizer that the ids were made with (its files have changed); run "
                      "prepare again",
                      folder.string()));
    impl_->tokenizer = load_tokenizer(folder);
  });
  return impl_->tokenizer;
}

const ImageProcessorConfig& Cache::processor() const { return impl_->manifest.image_processor; }

std::vector<std::string> Cache::splits(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& [name, shards] : read_manifest(directory).splits) names.push_back(name);
  return names;
}

}  // namespace capstan
