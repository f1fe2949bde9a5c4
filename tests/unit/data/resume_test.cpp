// What prepare does after it was interrupted.
#include <atomic>
#include <csignal>

#include "capstan/core/error.h"
#include "capstan/core/signals.h"
#include "capstan/data/inspect.h"
#include "capstan/data/prepare.h"
#include "support/catch.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

// Fails like a broken machine, not like a bad caption, after so many captions.
class FailingTokenizer final : public FakeTokenizer {
 public:
  explicit FailingTokenizer(int captions) : left_(captions) {}
  std::vector<std::int64_t> encode(std::string_view text) const override {
    if (left_-- <= 0) throw std::runtime_error("the power is gone");
    return FakeTokenizer::encode(text);
  }

 private:
  mutable std::atomic<int> left_;
};

// Prepares until the tokenizer fails.
void interrupt(const Dataset& dataset, const PrepareCall& options, int captions) {
  std::vector<std::unique_ptr<CaptionSource>> sources;
  sources.push_back(std::make_unique<DatasetSource>(dataset));
  const auto tokenizer = [&](const Corpus&) { return std::make_shared<const FailingTokenizer>(captions); };
  CHECK_THROWS_WITH(prepare(sources, tokenizer, options, options.output, options.resolved_config),
                    ContainsSubstring("the power is gone"));
}

}  // namespace

TEST_CASE("an interrupted prepare goes on and ends with the same bytes", "[data][resume]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const Dataset dataset(Dataset::records(60));
  write_file_atomic(dataset.file(4), "no picture");   // of the first split that is written
  write_file_atomic(dataset.file(10), "no picture");  // and of the second
  const TempDir whole, folder;
  auto options = options_for(whole.path(), store);
  options.num_workers = 2;
  prepare_dataset(dataset, options);
  options.output = folder.path() / "cache";
  std::int64_t before = 0;
  for (const int captions : {40, 40, 5, 40}) interrupt(dataset, options, captions);
  CHECK(fs::exists(options.output / "prepare.journal"));
  CHECK_FALSE(fs::exists(options.output / "manifest.json"));
  CHECK_THROWS_WITH(Cache(options.output, "train"), ContainsSubstring("not a prepared cache"));
  const auto summary = prepare_dataset(dataset, options);
  before = summary.images_before;
  CHECK(before >= 14);
  CHECK(before < 60);
  CHECK(summary.errors == 2);
  CHECK(files_of(options.output) == files_of(whole.path()));
  CHECK(verify_cache(options.output).empty());
}

TEST_CASE("a finished shard is not written again", "[data][resume]") {
  const Dataset dataset(Dataset::records(40));
  const TempDir folder;
  auto options = options_for(folder.path() / "cache");
  options.num_workers = 1;
  interrupt(dataset, options, 50);
  const fs::path shard = options.output / "validation-00000.h5";
  REQUIRE(fs::exists(shard));
  const auto written = fs::last_write_time(shard);
  prepare_dataset(dataset, options);
  CHECK(fs::last_write_time(shard) == written);
}

TEST_CASE("a journal whose last line was cut short and a shard that is gone cost only that shard", "[data][resume]") {
  const Dataset dataset(Dataset::records(40));
  const TempDir whole, folder;
  prepare_dataset(dataset, options_for(whole.path()));
  auto options = options_for(folder.path() / "cache");
  options.num_workers = 1;
  interrupt(dataset, options, 60);
  const fs::path journal = options.output / "prepare.journal";
  const std::string lines = read_file(journal);
  const int damage = GENERATE(0, 1, 2, 3);
  if (damage == 0) std::ofstream(journal, std::ios::binary) << lines.substr(0, lines.size() - 20);
  if (damage == 1) std::ofstream(journal, std::ios::binary) << lines << "{\"split\": \"tr";
  if (damage == 2) fs::remove(options.output / "validation-00000.h5");
  if (damage == 3) fs::resize_file(options.output / "validation-00000.h5", 100);
  write_file_atomic(options.output / ".train-00002.h5.tmp", "half");
  write_file_atomic(options.output / ".manifest.json.tmp-12345", "half");
  prepare_dataset(dataset, options);
  CHECK(files_of(options.output) == files_of(whole.path()));
}

TEST_CASE("a stop keeps what is finished and says how to go on", "[data][resume]") {
  const Dataset dataset(Dataset::records(40));
  const TempDir whole, folder;
  prepare_dataset(dataset, options_for(whole.path()));
  auto options = options_for(folder.path() / "cache");
  interrupt(dataset, options, 60);
  std::vector<std::unique_ptr<CaptionSource>> sources;
  sources.push_back(std::make_unique<DatasetSource>(dataset));
  const auto stopping = [](const Corpus&) {
    request_stop(SIGINT);
    return std::make_shared<const FakeTokenizer>();
  };
  CHECK_THROWS_WITH(prepare(sources, stopping, options, options.output, options.resolved_config),
                    ContainsSubstring("shards are finished and kept") && ContainsSubstring("the same command"));
  request_stop(0);
  prepare_dataset(dataset, options);
  CHECK(files_of(options.output) == files_of(whole.path()));
}

TEST_CASE("a finished cache of the same inputs is left as it is, another is refused", "[data][resume]") {
  const Dataset dataset(Dataset::records(10)), other(Dataset::records(11));
  const TempDir output;
  auto options = options_for(output.path());
  prepare_dataset(dataset, options);
  const auto files = files_of(output.path());
  options.num_workers = 3;  // decides nothing about the bytes
  const auto summary = prepare_dataset(dataset, options);
  CHECK(summary.images_before == 10);
  CHECK(files_of(output.path()) == files);
  CHECK_THROWS_WITH(prepare_dataset(other, options), ContainsSubstring("holds a cache of other data or options"));
  options.image.size = 17;
  CHECK_THROWS_WITH(prepare_dataset(dataset, options), ContainsSubstring("overwrite=true to replace it"));
  CHECK(files_of(output.path()) == files);
}

TEST_CASE("unfinished work of other inputs is not mixed with new", "[data][resume]") {
  const Dataset dataset(Dataset::records(40)), other(Dataset::records(39));
  const TempDir folder, fresh;
  auto options = options_for(folder.path() / "cache");
  interrupt(dataset, options, 60);
  CHECK_THROWS_WITH(prepare_dataset(other, options), ContainsSubstring("holds an unfinished cache of other data"));
  CHECK(fs::exists(options.output / "validation-00000.h5"));
  options.overwrite = true;
  prepare_dataset(other, options);
  prepare_dataset(other, options_for(fresh.path()));
  CHECK(files_of(options.output) == files_of(fresh.path()));
}

TEST_CASE("two processes do not write one cache", "[data][resume]") {
  const Dataset dataset(Dataset::records(10));
  const TempDir output;
  std::vector<std::unique_ptr<CaptionSource>> sources;
  sources.push_back(std::make_unique<DatasetSource>(dataset));
  const auto options = options_for(output.path());
  const auto tokenizer = [&](const Corpus&) {
    CHECK_THROWS_WITH(prepare_dataset(dataset, options), ContainsSubstring("another prepare is writing this cache"));
    return std::make_shared<const FakeTokenizer>();
  };
  prepare(sources, tokenizer, options, options.output, options.resolved_config);
  CHECK(verify_cache(output.path()).empty());
}

}  // namespace capstan::testing
