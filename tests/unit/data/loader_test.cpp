#include "capstan/data/loader.h"

#include <algorithm>
#include <set>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

std::shared_ptr<const Cache> prepare_cache(const TempDir& output, const std::string& store = "raw") {
  const Dataset dataset(Dataset::records(24));
  prepare_dataset(dataset, options_for(output.path(), store));
  return std::make_shared<const Cache>(output.path(), "train");
}

Loader make_loader(const std::shared_ptr<const Cache>& cache, const LoaderOptions& options) {
  return Loader(cache, Sampler(cache->num_captions(), true, 5), {.eos_token_id = 999, .max_tokens = 64}, options);
}

bool same(const CaptionBatch& a, const CaptionBatch& b) {
  return a.pixels_BHWC.equal(b.pixels_BHWC) && a.labels_BT.equal(b.labels_BT) && a.images == b.images &&
         a.captions == b.captions && a.num_label_tokens == b.num_label_tokens;
}

std::vector<std::int64_t> epoch(const Sampler& sampler, std::int64_t number) {
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < sampler.size(); ++i) order.push_back(sampler.at(number * sampler.size() + i));
  return order;
}

}  // namespace

TEST_CASE("every epoch of the sampler is a permutation and no two are alike", "[data][sampler]") {
  for (const std::int64_t size : {1, 2, 3, 5, 16, 17, 100, 1000, 4096, 10007}) {
    const Sampler sampler(size, true, 11);
    std::set<std::vector<std::int64_t>> orders;
    for (std::int64_t number = 0; number < 3; ++number) {
      auto order = epoch(sampler, number);
      if (size >= 16) CHECK(orders.insert(order).second);
      std::sort(order.begin(), order.end());
      bool complete = true;
      for (std::int64_t i = 0; i < size; ++i) complete = complete && order[static_cast<std::size_t>(i)] == i;
      CHECK(complete);
    }
  }
  CHECK(epoch(Sampler(100, true, 1), 0) != epoch(Sampler(100, true, 2), 0));
  CHECK(epoch(Sampler(100, true, 1), 4) == epoch(Sampler(100, true, 1), 4));
}

TEST_CASE("every caption comes at every place of an epoch equally often", "[data][sampler]") {
  // Chi-square over (place, caption) pairs; 5 x 5 cells with 16 degrees of freedom: 99.99 % lie below 44.
  constexpr int kCaptions = 5, kEpochs = 5000;
  const Sampler sampler(kCaptions, true, 3);
  std::vector<double> counts(kCaptions * kCaptions, 0);
  for (int number = 0; number < kEpochs; ++number)
    for (int place = 0; place < kCaptions; ++place)
      ++counts[static_cast<std::size_t>(place * kCaptions + sampler.at(std::int64_t{number} * kCaptions + place))];
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - 1000) * (count - 1000) / 1000;
  CHECK(chi_square < 44);
}

TEST_CASE("a sampler that does not shuffle counts up", "[data][sampler]") {
  const Sampler sampler(3, false, 1);
  CHECK(sampler.at(2) == 2);
  CHECK(sampler.at(3) == 0);
  CHECK_THROWS_AS(Sampler(0, true, 1), DataError);
}

TEST_CASE("labels are the ids, one end token, and -100 to the longest caption", "[data][collator]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  const Collator collator{.eos_token_id = 999, .max_tokens = 4};
  // Image 2 has three captions; the last has six words, which are cut to four.
  const std::int64_t last = cache->first_caption(3) - 1, before = last - 1;
  const CaptionBatch batch = collator(*cache, {before, last});
  const auto ids = cache->token_ids(before), cut = cache->token_ids(last);
  REQUIRE(ids.size() == 3);
  REQUIRE(cut.size() == 6);
  CHECK(batch.labels_BT.sizes().vec() == std::vector<std::int64_t>{2, 5});
  const auto* labels = batch.labels_BT.const_data_ptr<std::int64_t>();
  CHECK(std::vector<std::int64_t>(labels, labels + 10) ==
        std::vector<std::int64_t>{ids[0], ids[1], ids[2], 999, -100, cut[0], cut[1], cut[2], cut[3], 999});
  CHECK(batch.num_label_tokens == 9);
  CHECK(batch.images == std::vector<std::int64_t>{2, 2});
  CHECK(batch.pixels_BHWC.sizes().vec() == std::vector<std::int64_t>{2, kSize, kSize, 3});
  const auto pixels = pixels_of(*cache, 2);
  const auto* data = batch.pixels_BHWC.const_data_ptr<std::uint8_t>();
  CHECK(std::equal(pixels.begin(), pixels.end(), data));
  CHECK(std::equal(pixels.begin(), pixels.end(), data + pixels.size()));
}

TEST_CASE("batches are the same for any number of workers", "[data][loader]") {
  const std::string store = GENERATE(std::string("raw"), std::string("jpeg"));
  const TempDir output;
  const auto cache = prepare_cache(output, store);
  Loader plain = make_loader(cache, {.batch_size = 5, .num_workers = 0});
  Loader one = make_loader(cache, {.batch_size = 5, .num_workers = 1, .prefetch = 1});
  Loader many = make_loader(cache, {.batch_size = 5, .num_workers = 4, .prefetch = 3});
  std::multiset<std::int64_t> seen;
  for (std::int64_t i = 0; i < 40; ++i) {
    const CaptionBatch expected = plain.next();
    CHECK(same(expected, one.next()));
    CHECK(same(expected, many.next()));
    CHECK(many.position() == (i + 1) * 5);
    seen.insert(expected.captions.begin(), expected.captions.end());
  }
  // 200 samples of 40 captions: five whole epochs.
  REQUIRE(cache->num_captions() == 40);
  for (std::int64_t caption = 0; caption < 40; ++caption) CHECK(seen.count(caption) == 5);
  CHECK(many.wait_seconds() > 0);
}

TEST_CASE("a loader started at a saved position goes on as if it had never stopped", "[data][loader]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  Loader whole = make_loader(cache, {.batch_size = 7, .num_workers = 2});
  for (int i = 0; i < 9; ++i) whole.next();
  Loader resumed = make_loader(cache, {.batch_size = 7, .num_workers = 3, .start = whole.position()});
  CHECK(resumed.position() == 63);
  for (int i = 0; i < 9; ++i) CHECK(same(whole.next(), resumed.next()));
  CHECK(resumed.position() == whole.position());
}

TEST_CASE("an error of a worker comes out of next at its place", "[data][loader]") {
  const TempDir output;
  prepare_cache(output, "jpeg");
  const std::vector<unsigned char> start{0xff, 0xd8, 0xff};
  REQUIRE(patch_file(output.path() / "train-00001.h5", start, {0, 0, 0}));  // the eighth picture
  const auto cache = std::make_shared<const Cache>(output.path(), "train");
  const std::int64_t bad = cache->first_caption(7);
  const int workers = GENERATE(0, 1, 3);
  Loader loader(cache, Sampler(cache->num_captions(), false, 0), {.eos_token_id = 999},
                {.batch_size = 1, .num_workers = workers, .prefetch = 5});
  for (std::int64_t i = 0; i < bad; ++i) CHECK_NOTHROW(loader.next());
  for (int again = 0; again < 2; ++again)
    CHECK_THROWS_WITH(loader.next(), ContainsSubstring("train-00001.h5: image 0"));
  CHECK(loader.position() == bad);
}

TEST_CASE("a loader ends cleanly with batches nobody took", "[data][loader]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  for (int i = 0; i < 50; ++i) {
    Loader loader = make_loader(cache, {.batch_size = 4, .num_workers = 3, .prefetch = 2});
    if (i % 2 == 0) loader.next();
  }
  SUCCEED("no thread was left waiting");
}

}  // namespace capstan::testing
