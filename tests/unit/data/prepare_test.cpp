#include "capstan/data/prepare.h"

#include <csignal>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "capstan/image/processor.h"
#include "support/catch.h"
#include "support/shared_data.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

std::vector<std::uint8_t> expected_pixels(const Dataset& dataset, const Record& record, const std::string& store) {
  ImageProcessorConfig config;
  config.size = kSize;
  const Image resized = ImageProcessor(config).resize(read_image(dataset.images() / (record.id + ".jpg")));
  if (store == "raw") return resized.rgb;
  const std::string jpeg = encode_jpeg(resized, 90);
  return decode_image(std::as_bytes(std::span(jpeg)), "expected").rgb;
}

void check_split(const Dataset& dataset, const Cache& cache, const std::vector<Record>& records,
                 const std::string& store) {
  const FakeTokenizer tokenizer;
  REQUIRE(cache.num_images() == static_cast<std::int64_t>(records.size()));
  std::int64_t caption = 0;
  for (std::int64_t i = 0; i < cache.num_images(); ++i) {
    const Record& record = records[static_cast<std::size_t>(i)];
    CHECK(cache.image_id(i) == record.id);
    CHECK(cache.image_file(i) == record.id + ".jpg");
    CHECK(cache.captions_of(i) == record.captions);
    CHECK(cache.first_caption(i) == caption);
    CHECK(pixels_of(cache, i) == expected_pixels(dataset, record, store));
    for (const std::string& text : record.captions) {
      CHECK(cache.image_of_caption(caption) == i);
      CHECK(cache.caption(caption) == text);
      CHECK(cache.token_ids(caption) == tokenizer.encode(text));
      CHECK(cache.num_tokens(caption) == static_cast<std::int64_t>(tokenizer.encode(text).size()));
      ++caption;
    }
  }
  CHECK(cache.num_captions() == caption);
  CHECK(cache.first_caption(cache.num_images()) == caption);
}

}  // namespace

TEST_CASE("a cache gives back pictures, captions and ids as they went in", "[data][prepare]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const Dataset dataset(Dataset::records(40));
  const TempDir output;
  const auto summary = prepare_dataset(dataset, options_for(output.path(), store));
  CHECK(summary.images == std::map<std::string, std::int64_t>{{"train", 32}, {"validation", 8}});
  CHECK(summary.captions.at("train") + summary.captions.at("validation") == 79);  // 1 + 2 + 3, 13 times, + 1
  CHECK(summary.errors == 0);
  CHECK(Cache::splits(output.path()) == std::vector<std::string>{"train", "validation"});
  for (const std::string split : {"train", "validation"})
    check_split(dataset, Cache(output.path(), split), dataset.of(split), store);
  CHECK(Cache(output.path(), "train").processor().size == kSize);
  CHECK(read_file(output.path() / "config.yaml") == "store: " + store + "\n");
  CHECK(read_file(output.path() / "errors.jsonl").empty());
  CHECK(fs::exists(output.path() / "train-00004.h5"));  // 32 pictures, 7 a shard
}

TEST_CASE("the cache is the same for any number of workers", "[data][prepare]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const Dataset dataset(Dataset::records(30));
  const TempDir one, four;
  auto options = options_for(one.path(), store);
  options.num_workers = 1;
  prepare_dataset(dataset, options);
  options.output = four.path();
  options.num_workers = 4;
  prepare_dataset(dataset, options);
  CHECK(files_of(one.path()) == files_of(four.path()));
}

TEST_CASE("a corrupt picture goes to the ledger together with its captions", "[data][prepare]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  auto records = Dataset::records(10);
  const Dataset dataset(records), without([&] {
    auto rest = records;
    rest.erase(rest.begin() + 2);
    return rest;
  }());
  write_file_atomic(dataset.file(2), "\xff\xd8 this is no picture");
  const TempDir output, expected;
  auto options = options_for(output.path(), store);
  options.images_per_shard = 100;
  const auto summary = prepare_dataset(dataset, options);
  CHECK(summary.errors == 1);
  const auto line = nlohmann::json::parse(read_file(output.path() / "errors.jsonl"));
  CHECK(line.at("file") == dataset.file(2).string());
  CHECK_FALSE(line.at("reason").get<std::string>().empty());
  for (const auto& record : without.records())
    fs::copy_file(dataset.images() / (record.id + ".jpg"), without.images() / (record.id + ".jpg"),
                  fs::copy_options::overwrite_existing);
  check_split(without, Cache(output.path(), "train"), without.of("train"), store);
  // The shard is the one that would have come without the bad picture, byte for byte.
  options.output = expected.path();
  prepare_dataset(without, options);
  CHECK(read_file(output.path() / "train-00000.h5") == read_file(expected.path() / "train-00000.h5"));
}

TEST_CASE("a missing picture goes to the ledger", "[data][prepare]") {
  const Dataset dataset(Dataset::records(4));
  fs::remove(dataset.file(1));
  const TempDir output;
  CHECK(prepare_dataset(dataset, options_for(output.path())).errors == 1);
  CHECK_THAT(read_file(output.path() / "errors.jsonl"), ContainsSubstring("101.jpg"));
}

TEST_CASE("more errors than allowed stop prepare, which goes on when more are allowed", "[data][prepare]") {
  const Dataset dataset(Dataset::records(12));
  write_file_atomic(dataset.file(8), "x");
  write_file_atomic(dataset.file(10), "y");
  const TempDir folder;
  auto options = options_for(folder.path() / "cache");
  options.max_errors = 1;
  CHECK_THROWS_WITH(prepare_dataset(dataset, options),
                    ContainsSubstring("2 errors, more than max_errors=1") && ContainsSubstring("108.jpg"));
  CHECK_FALSE(fs::exists(options.output / "manifest.json"));
  options.max_errors = 2;
  const auto summary = prepare_dataset(dataset, options);
  CHECK(summary.errors == 2);
  CHECK(summary.images_before > 0);
}

TEST_CASE("a data set of which nothing can be taken is refused", "[data][prepare]") {
  set_log_level(LogLevel::kError);  // it warns of the empty split, too
  const TempDir folder;
  const auto options = options_for(folder.path() / "cache");
  const Dataset empty({});
  CHECK_THROWS_WITH(prepare_dataset(empty, options), ContainsSubstring("the data set is empty"));
  const Dataset broken(Dataset::records(3));
  for (std::size_t i = 0; i < 3; ++i) write_file_atomic(broken.file(i), "");
  CHECK_THROWS_WITH(prepare_dataset(broken, options), ContainsSubstring("none of 3 pictures could be taken"));
  CHECK_FALSE(fs::exists(options.output));
  set_log_level(LogLevel::kInfo);
}

TEST_CASE("a full output folder is refused unless it is to be overwritten", "[data][prepare]") {
  const Dataset large(Dataset::records(30)), small(Dataset::records(3)), empty({});
  const TempDir output, fresh;
  prepare_dataset(large, options_for(output.path()));
  write_file_atomic(output.path() / "notes.txt", "mine");
  CHECK_THROWS_AS(prepare_dataset(small, options_for(output.path())), DataError);
  auto options = options_for(output.path());
  options.overwrite = true;
  CHECK_THROWS_AS(prepare_dataset(empty, options), DataError);
  CHECK(Cache(output.path(), "train").num_images() == 24);  // a source that fails costs nothing
  prepare_dataset(small, options);
  prepare_dataset(small, options_for(fresh.path()));
  auto files = files_of(output.path());
  CHECK(files.at("notes.txt") == "mine");
  files.erase("notes.txt");
  CHECK(files == files_of(fresh.path()));
}

TEST_CASE("prepare stops when asked and leaves nothing where no shard is finished", "[data][prepare]") {
  const Dataset dataset(Dataset::records(5));
  const TempDir folder;
  request_stop(SIGTERM);
  CHECK_THROWS_WITH(prepare_dataset(dataset, options_for(folder.path() / "cache")), ContainsSubstring("was stopped"));
  request_stop(0);
  CHECK_FALSE(fs::exists(folder.path() / "cache"));
}

TEST_CASE("prepare says how much space is missing before it starts", "[data][prepare]") {
  const Dataset dataset(Dataset::records(2));
  const TempDir folder;
  auto options = options_for(folder.path() / "cache");
  options.image.size = 30'000'000;  // no disk holds two such pictures
  CHECK_THROWS_WITH(prepare_dataset(dataset, options),
                    ContainsSubstring("the cache needs about") && ContainsSubstring("store=jpeg"));
  CHECK_FALSE(fs::exists(options.output));
}

TEST_CASE("a store of another name is refused", "[data][prepare]") {
  const Dataset dataset(Dataset::records(1));
  const TempDir output;
  CHECK_THROWS_WITH(prepare_dataset(dataset, options_for(output.path(), "png")), ContainsSubstring("raw or jpeg"));
}

TEST_CASE("a prepared photo takes at most 151 KB raw and 30 KB as JPEG", "[data][prepare]") {
  const auto shared = shared_data();
  if (!shared) SKIP("the shared data folder is absent");
  class TinyCoco final : public CaptionSource {
   public:
    explicit TinyCoco(fs::path folder) : folder_(std::move(folder)) {}
    void read(const TakeImage& take, std::vector<LedgerEntry>& ledger) const override {
      for (auto& image :
           read_coco(folder_ / "annotations/captions_train2017.json", folder_ / "train2017", "train", ledger))
        take(image);
    }

   private:
    fs::path folder_;
  };
  std::vector<std::unique_ptr<CaptionSource>> list;
  list.push_back(std::make_unique<TinyCoco>(*shared / "coco/tiny_coco"));
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const TempDir output;
  auto options = options_for(output.path(), store);
  options.image.size = 224;
  options.images_per_shard = 4096;
  const auto summary = prepare_sources(list, options);
  CHECK(summary.errors == 0);
  const Cache cache(output.path(), "train");
  std::uint64_t text = 0;  // captions: their bytes, ids and offsets
  for (std::int64_t i = 0; i < cache.num_captions(); ++i)
    text += cache.caption(i).size() + static_cast<std::uint64_t>(4 * cache.num_tokens(i)) + 16;
  const auto images = static_cast<double>(summary.images.at("train"));
  const double per_image = static_cast<double>(summary.bytes - text) / images;
  CAPTURE(per_image, store);
  CHECK(per_image <= (store == "raw" ? 151'000 : 30'000));
}

}  // namespace capstan::testing
