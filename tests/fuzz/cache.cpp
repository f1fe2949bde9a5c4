// Shards, manifests and journals of a small cache, damaged one file at a time.
#include "capstan/data/cache.h"
#include "capstan/core/files.h"
#include "capstan/data/inspect.h"
#include "capstan/data/prepare.h"
#include "fuzz/fuzz.h"
#include "unit/data/fixture.h"

namespace capstan::fuzz {
namespace {

using testing::Dataset;

void read_all(const Cache& cache) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(cache.image_size() * cache.image_size() * 3));
  for (std::int64_t image = 0; image < cache.num_images(); ++image) {
    cache.image_id(image);
    cache.image_file(image);
    cache.captions_of(image);
    cache.read_pixels(image, pixels.data());
  }
  for (std::int64_t caption = 0; caption < cache.num_captions(); ++caption) {
    cache.image_of_caption(caption);
    cache.token_ids(caption);
  }
  cache.sources();
}

// A damaged image_size must not make the reader take gigabytes, hence the whole path through Cache.
void open_cache(const fs::path& folder) {
  read_all(Cache(folder, "train"));
  describe_cache(folder);
  verify_cache(folder);
}

Target damage(const std::string& name, const fs::path& folder, const fs::path& file) {
  const std::string good = read_file(file);
  return {name, {good}, [folder, file, good](const std::string& bytes) {
            put(file, bytes);
            try {
              describe_shard(file);
            } catch (const Error&) {  // the manifest is none
            }
            try {
              open_cache(folder);
            } catch (...) {
              put(file, good);
              throw;
            }
            put(file, good);
          }};
}

}  // namespace

std::vector<Target> cache_targets(const fs::path& folder) {
  const auto dataset = std::make_shared<const Dataset>(Dataset::records(6));
  std::vector<Target> targets;
  for (const std::string store : {"raw", "jpeg"}) {
    auto options = testing::options_for(folder / store, store);
    options.image.size = 8;  // fewer pixels, so that more of the damage meets what is read as numbers
    testing::prepare_dataset(*dataset, options);
    targets.push_back(damage(store + " shard", folder / store, folder / store / "train-00000.h5"));
    targets.push_back(damage(store + " manifest", folder / store, folder / store / "manifest.json"));
  }
  // A journal is only ever read by a prepare that goes on.
  const auto journal = [dataset, output = folder / "journal"](const std::string& bytes) {
    fs::remove_all(output);
    fs::create_directories(output);
    put(output / "prepare.journal", bytes);
    auto options = testing::options_for(output);
    options.overwrite = true;
    testing::prepare_dataset(*dataset, options);
  };
  targets.push_back({"journal",
                     {R"({"format":"capstan prepare journal 1","plan":"xxh128:00"})"
                      "\n"
                      R"({"split":"train","number":0,"shard":{"file":"train-00000.h5","images":1,"captions":1,)"
                      R"("tokens":1,"bytes":1,"checksum":"xxh128:00"},"errors":[],"notes":[]})"
                      "\n"},
                     journal});
  return targets;
}

}  // namespace capstan::fuzz
