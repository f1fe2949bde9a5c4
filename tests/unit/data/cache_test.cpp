#include "capstan/data/cache.h"

#include "capstan/core/error.h"
#include "capstan/data/inspect.h"
#include "support/catch.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

// A prepared cache of ten pictures in one training shard and one for validation.
struct Prepared {
  Dataset dataset{Dataset::records(10)};
  TempDir output;
  explicit Prepared(const std::string& store = "raw") {
    auto options = options_for(output.path(), store);
    options.images_per_shard = 100;
    prepare_dataset(dataset, options);
  }
  fs::path shard() const { return output.path() / "train-00000.h5"; }
  Cache open() const { return Cache(output.path(), "train"); }
};

// Reads everything a cache holds.
void read_all(const Cache& cache) {
  for (std::int64_t i = 0; i < cache.num_captions(); ++i) {
    cache.token_ids(i);
    cache.caption(i);
    cache.image_of_caption(i);
  }
  for (std::int64_t i = 0; i < cache.num_images(); ++i) {
    pixels_of(cache, i);
    cache.image_id(i);
    cache.image_file(i);
    cache.captions_of(i);
  }
}

}  // namespace

TEST_CASE("a folder without a manifest is no cache", "[data][cache]") {
  const TempDir folder;
  CHECK_THROWS_WITH(Cache(folder.path(), "train"), ContainsSubstring("not a prepared cache"));
  write_file_atomic(folder.path() / "manifest.json", R"({"format": "capstan-cache", "format_version": 2})");
  CHECK_THROWS_WITH(Cache(folder.path(), "train"), ContainsSubstring("manifest.json: not a cache's manifest"));
}

TEST_CASE("an unknown split is answered with the known ones", "[data][cache]") {
  const Prepared prepared;
  CHECK_THROWS_WITH(Cache(prepared.output.path(), "test"),
                    ContainsSubstring("no split 'test'; it has: train, validation"));
}

TEST_CASE("a cache of another format version is refused", "[data][cache]") {
  const Prepared prepared;
  auto manifest = nlohmann::json::parse(read_file(prepared.output.path() / "manifest.json"));
  manifest["format_version"] = 99;
  write_file_atomic(prepared.output.path() / "manifest.json", manifest.dump());
  CHECK_THROWS_WITH(prepared.open(), ContainsSubstring("format version 99, this program reads version 2"));
}

TEST_CASE("a manifest cannot name files outside the cache", "[data][cache]") {
  const Prepared prepared;
  auto manifest = nlohmann::json::parse(read_file(prepared.output.path() / "manifest.json"));
  manifest["splits"][0]["shards"][0]["file"] = "../other.h5";
  write_file_atomic(prepared.output.path() / "manifest.json", manifest.dump());
  CHECK_THROWS_WITH(prepared.open(), ContainsSubstring("'../other.h5' is not a plain file name"));
}

TEST_CASE("a shard that is cut short is named with what was found and expected", "[data][cache]") {
  const Prepared prepared;
  const auto size = fs::file_size(prepared.shard());
  fs::resize_file(prepared.shard(), size / 2);
  CHECK_THROWS_WITH(prepared.open(), ContainsSubstring("train-00000.h5: found " + std::to_string(size / 2) +
                                                       " bytes, expected " + std::to_string(size)) &&
                                         ContainsSubstring("cut short; run prepare again"));
  CHECK_THROWS_AS(describe_shard(prepared.shard()), DataError);
  fs::remove(prepared.shard());
  CHECK_THROWS_WITH(prepared.open(), ContainsSubstring("the shard is missing"));
}

TEST_CASE("offsets that lead out of a shard are refused", "[data][cache]") {
  using Numbers = std::vector<std::int64_t>;
  // Captions of the training pictures 0 1 2 3 5 6 7 8: 1 2 3 1 3 1 2 3.
  const Numbers caption_offsets{0, 1, 3, 6, 7, 10, 11, 13, 16};
  const auto replaced = [&](std::size_t index, std::int64_t value) {
    Numbers copy = caption_offsets;
    copy[index] = value;
    return copy;
  };
  const auto [change, message] = GENERATE_REF(table<Numbers, std::string>({
      {replaced(0, 1), "'caption_offsets' begins at 1"},
      {replaced(3, 2), "'caption_offsets' falls at entry 3"},
      {replaced(3, std::int64_t{1} << 60), "'caption_offsets' falls at entry 4"},
      {replaced(4, -5), "'caption_offsets' falls at entry 4"},
      {replaced(8, 17), "'caption_offsets' ends at 17, expected 16"},
  }));
  const Prepared prepared;
  REQUIRE(patch_file(prepared.shard(), caption_offsets, change));
  CHECK_THROWS_WITH(prepared.open(), ContainsSubstring(message) && ContainsSubstring("run prepare again"));
}

TEST_CASE("an id outside the vocabulary is refused when it is read", "[data][cache]") {
  const Prepared prepared;
  std::vector<std::int32_t> ids;
  for (const auto id : FakeTokenizer().encode("picture 0 caption")) ids.push_back(static_cast<std::int32_t>(id));
  REQUIRE(patch_file(prepared.shard(), ids, {ids[0], 1000, ids[2]}));
  const Cache cache = prepared.open();
  CHECK_THROWS_WITH(cache.token_ids(0), ContainsSubstring("holds the id 1000, the vocabulary has 1000"));
  CHECK_NOTHROW(cache.token_ids(1));
}

TEST_CASE("a damaged JPEG in a shard is an error that names the image", "[data][cache]") {
  const Prepared prepared("jpeg");
  const std::vector<unsigned char> start{0xff, 0xd8, 0xff};
  REQUIRE(patch_file(prepared.shard(), start, {0, 0, 0}));
  const Cache cache = prepared.open();
  CHECK_THROWS_WITH(pixels_of(cache, 0), ContainsSubstring("train-00000.h5: image 0"));
  CHECK_NOTHROW(pixels_of(cache, 1));
}

TEST_CASE("no damage to a shard leads to anything but our error", "[data][cache]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const Prepared prepared(store);
  const std::string whole = read_file(prepared.shard());
  // Most of a raw shard is pixels; what comes after them is where damage could mislead.
  const std::size_t first = store == "raw" ? 8 * kSize * kSize * 3 : 0;
  Random random(7);
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = whole;
    const auto changes = 1 + random.below(4);
    for (std::uint64_t i = 0; i < changes; ++i) {
      const std::size_t header = 1024;
      const std::size_t at = random.below(3) == 0 ? random.below(header) : first + random.below(bytes.size() - first);
      bytes[at] = static_cast<char>(random.below(4) == 0 ? 0xff : random.below(256));
    }
    if (random.below(8) == 0) bytes.resize(random.below(bytes.size()));
    std::ofstream(prepared.shard(), std::ios::binary) << bytes;
    try {
      describe_shard(prepared.shard());
      read_all(prepared.open());
    } catch (const DataError&) {
      ++refused;
    }
  }
  CHECK(refused > 50);
}

TEST_CASE("a tokenizer whose files have changed is not used with old ids", "[data][cache]") {
  const Prepared prepared;
  write_file_atomic(prepared.output.path() / "tokenizer/fake.txt", "other\n");
  CHECK_THROWS_WITH(prepared.open().tokenizer(), ContainsSubstring("not the tokenizer that the ids were made with"));
}

TEST_CASE("verify finds every byte that has changed", "[data][cache]") {
  const Prepared prepared;
  CHECK(verify_cache(prepared.output.path()).empty());
  std::string bytes = read_file(prepared.shard());
  bytes[bytes.size() / 2] ^= 1;
  write_file_atomic(prepared.shard(), bytes);
  write_file_atomic(prepared.output.path() / "tokenizer/fake.txt", "other\n");
  fs::remove(prepared.output.path() / "validation-00000.h5");
  const auto problems = verify_cache(prepared.output.path());
  REQUIRE(problems.size() == 3);
  CHECK_THAT(problems[0], ContainsSubstring("train-00000.h5"));
  CHECK_THAT(problems[1], ContainsSubstring("validation-00000.h5: the shard is missing"));
  CHECK_THAT(problems[2], ContainsSubstring("tokenizer"));
}

TEST_CASE("a cache is described by its counts, lengths, words and errors", "[data][cache]") {
  const Dataset dataset(Dataset::records(10));
  write_file_atomic(dataset.file(3), "x");
  const TempDir output;
  prepare_dataset(dataset, options_for(output.path()));
  const std::string text = describe_cache(output.path());
  CHECK_THAT(text, ContainsSubstring("16 x 16 raw pixels"));
  CHECK_THAT(text, ContainsSubstring("fake, 1,000 ids"));
  CHECK_THAT(text, ContainsSubstring("the test's pictures"));
  CHECK_THAT(text, ContainsSubstring("validation"));
  CHECK_THAT(text, ContainsSubstring("picture 18"));  // captions of nine pictures
  CHECK_THAT(text, ContainsSubstring("caption 9"));
  CHECK_THAT(text, ContainsSubstring("  3  ########################################  15"));
  CHECK_THAT(text, ContainsSubstring("  6  ########"));
  CHECK_THAT(text, ContainsSubstring("not taken (1 in all"));
  CHECK_THAT(text, ContainsSubstring("103.jpg"));
}

TEST_CASE("a shard is described on its own", "[data][cache]") {
  const Prepared prepared;
  const std::string text = describe_shard(prepared.shard());
  CHECK_THAT(text, ContainsSubstring("of the split 'train'"));
  CHECK_THAT(text, ContainsSubstring("8 images of 16 x 16 (raw), 16 captions"));
  CHECK_THAT(text, ContainsSubstring("image 101 (101.jpg)\n    picture 1 caption\n    picture 1 captions\n"));
}

}  // namespace capstan::testing
