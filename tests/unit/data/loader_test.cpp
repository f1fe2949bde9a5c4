#include "capstan/data/loader.h"

#include <algorithm>
#include <deque>
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
  return Loader(cache, std::make_shared<const Sampler>(cache, SamplerOptions{.seed = 5}),
                {.eos_token_id = 999, .max_tokens = 64}, options);
}

bool same(const CaptionBatch& a, const CaptionBatch& b) {
  return a.pixels_PHWC.equal(b.pixels_PHWC) && a.labels_BT.equal(b.labels_BT) && a.images == b.images &&
         a.captions == b.captions && a.num_label_tokens == b.num_label_tokens;
}

}  // namespace

TEST_CASE("labels are the ids, one end token, and -100 to the longest caption", "[data][collator]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  const Collator collator{.eos_token_id = 999, .max_tokens = 4};
  // Image 2 has three captions; the last has six words, which are cut to four.
  const std::int64_t last = cache->first_caption(3) - 1, before = last - 1;
  const CaptionBatch batch = collator(*cache, {{.image = 2, .captions = {before}}, {.image = 2, .captions = {last}}});
  const auto ids = cache->token_ids(before), cut = cache->token_ids(last);
  REQUIRE(ids.size() == 3);
  REQUIRE(cut.size() == 6);
  CHECK(batch.labels_BT.sizes().vec() == std::vector<std::int64_t>{2, 5});
  const auto* labels = batch.labels_BT.const_data_ptr<std::int64_t>();
  CHECK(std::vector<std::int64_t>(labels, labels + 10) ==
        std::vector<std::int64_t>{ids[0], ids[1], ids[2], 999, -100, cut[0], cut[1], cut[2], cut[3], 999});
  CHECK(batch.num_label_tokens == 9);
  CHECK(batch.num_captions == 2);
  CHECK(batch.images == std::vector<std::int64_t>{2});  // once, for both
  CHECK(batch.picture_of_row == std::vector<std::int64_t>{0, 0});
  CHECK(batch.rows_per_picture() == 2);
  CHECK(batch.pixels_PHWC.sizes().vec() == std::vector<std::int64_t>{1, kSize, kSize, 3});
  const auto pixels = pixels_of(*cache, 2);
  CHECK(std::equal(pixels.begin(), pixels.end(), batch.pixels_PHWC.const_data_ptr<std::uint8_t>()));
}

TEST_CASE("rows know their picture, and pictures with fewer captions are filled up", "[data][collator]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  Collator collator{.eos_token_id = 999, .max_tokens = 64};
  const auto first = [&](std::int64_t image) { return cache->first_caption(image); };
  const std::vector<Sample> mixed{
      {.image = 3, .captions = {first(3)}}, {.image = 1, .captions = {first(1)}}, {.image = 3, .captions = {first(3)}}};
  const CaptionBatch shared = collator(*cache, mixed);
  CHECK(shared.images == std::vector<std::int64_t>{3, 1});
  CHECK(shared.picture_of_row == std::vector<std::int64_t>{0, 1, 0});
  CHECK(shared.rows_per_picture() == 0);
  collator.keep_pictures = true;
  CHECK(collator(*cache, mixed).images == std::vector<std::int64_t>{3, 1, 3});

  const std::vector<Sample> groups{{.image = 2, .captions = {first(2), first(2) + 1}},
                                   {.image = 1, .captions = {first(1)}}};
  const CaptionBatch filled = collator(*cache, groups);
  CHECK(filled.captions == std::vector<std::int64_t>{first(2), first(2) + 1, first(1), -1});
  CHECK(filled.picture_of_row == std::vector<std::int64_t>{0, 0, 1, 1});
  CHECK(filled.rows_per_picture() == 2);
  CHECK(filled.num_captions == 3);
  CHECK(filled.labels_BT[3].eq(-100).all().item<bool>());
  CHECK(filled.num_label_tokens == filled.labels_BT.ne(-100).sum().item<std::int64_t>());
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
  Loader loader(cache, std::make_shared<const Sampler>(cache, SamplerOptions{.shuffle = false}), {.eos_token_id = 999},
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

TEST_CASE("the batches of several processes are together those of one, and any number can go on", "[data][loader]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  Loader one = make_loader(cache, {.batch_size = 6, .num_workers = 0});
  std::deque<Loader> three;
  for (int rank = 0; rank < 3; ++rank)
    three.emplace_back(cache, std::make_shared<const Sampler>(cache, SamplerOptions{.seed = 5}),
                       Collator{.eos_token_id = 999, .max_tokens = 64},
                       LoaderOptions{.batch_size = 2, .num_workers = 1, .rank = rank, .world_size = 3});
  for (int step = 0; step < 20; ++step) {
    std::vector<std::int64_t> together;
    for (Loader& loader : three) {
      const CaptionBatch batch = loader.next();
      CHECK(batch.captions.size() == 2);
      together.insert(together.end(), batch.captions.begin(), batch.captions.end());
    }
    CHECK(together == one.next().captions);
    CHECK(three[2].position() == one.position());
  }
  Loader resumed = make_loader(cache, {.batch_size = 6, .num_workers = 2, .start = three[0].position()});
  for (int step = 0; step < 5; ++step) CHECK(same(one.next(), resumed.next()));
}

TEST_CASE("a batch keeps its pixels while later ones reuse the memory of those that are gone", "[data][loader]") {
  const TempDir output;
  const auto cache = prepare_cache(output);
  Loader loader = make_loader(cache, {.batch_size = 4, .num_workers = 2});
  const CaptionBatch kept = loader.next();
  std::set<const void*> places;
  for (int i = 0; i < 50; ++i) {
    const CaptionBatch batch = loader.next();
    CHECK(batch.pixels_PHWC.const_data_ptr() != kept.pixels_PHWC.const_data_ptr());
    places.insert(batch.pixels_PHWC.const_data_ptr());
  }
  CHECK(places.size() <= 8);  // four waiting, two being made, one in use, and one to spare
  const auto* data = kept.pixels_PHWC.const_data_ptr<std::uint8_t>();
  for (const std::int64_t image : kept.images) {
    const auto pixels = pixels_of(*cache, image);
    CHECK(std::equal(pixels.begin(), pixels.end(), data));
    data += pixels.size();
  }
}

TEST_CASE("augmented pictures are the same for any number of workers and after a resume", "[data][loader]") {
  const TempDir output;
  const auto cache = prepare_cache(output, "jpeg");
  config::Problems problems;
  config::Component flip;
  flip.name = "horizontal_flip";
  const auto augmentation = std::make_shared<const Augmentation>(std::vector<config::Component>{flip}, problems);
  problems.throw_if_any();
  const auto options = [&](int workers, std::int64_t start) {
    return LoaderOptions{
        .batch_size = 5, .num_workers = workers, .start = start, .augmentation = augmentation, .seed = 3};
  };
  Loader plain = make_loader(cache, {.batch_size = 5, .num_workers = 0});
  Loader one = make_loader(cache, options(1, 0)), many = make_loader(cache, options(4, 0));
  int changed = 0;
  for (int i = 0; i < 16; ++i) {
    const CaptionBatch batch = one.next();
    CHECK(same(batch, many.next()));
    changed += batch.pixels_PHWC.equal(plain.next().pixels_PHWC) ? 0 : 1;
  }
  CHECK(changed >= 12);  // five pictures a batch, each turned with probability 1/2
  Loader resumed = make_loader(cache, options(2, one.position()));
  for (int i = 0; i < 5; ++i) CHECK(same(one.next(), resumed.next()));
}

}  // namespace capstan::testing
