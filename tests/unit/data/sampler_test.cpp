#include "capstan/data/sampler.h"

#include <algorithm>
#include <set>

#include "capstan/core/error.h"
#include "support/catch.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

// A data set that gives itself a weight.
class WeightedSource final : public CaptionSource {
 public:
  WeightedSource(const Dataset& dataset, double weight) : source_(dataset), weight_(weight) {}
  void read(const TakeImage& take, std::vector<LedgerEntry>& ledger) const override { source_.read(take, ledger); }
  double weight() const override { return weight_; }

 private:
  DatasetSource source_;
  double weight_;
};

std::vector<Record> records(int count, int first_id, int captions) {
  std::vector<Record> result;
  for (int i = 0; i < count; ++i) {
    Record record{.id = std::to_string(first_id + i), .captions = {}, .split = "train"};
    for (int j = 0; j < captions; ++j) {
      record.captions.push_back("picture " + std::to_string(first_id + i) + " caption " + std::to_string(j));
      for (int k = 0; k < (i * 7 + j) % 9; ++k) record.captions.back() += " word";
    }
    result.push_back(std::move(record));
  }
  return result;
}

struct Prepared {
  TempDir output;
  std::shared_ptr<const Cache> cache;
  Prepared(int images, int captions) {
    prepare_dataset(Dataset(records(images, 100, captions)), options_for(output.path()));
    cache = std::make_shared<const Cache>(output.path(), "train");
  }
};

std::vector<std::int64_t> captions_of_epoch(const Sampler& sampler, std::int64_t number) {
  std::vector<std::int64_t> captions;
  for (std::int64_t i = 0; i < sampler.size(); ++i) {
    const Sample sample = sampler.at(number * sampler.size() + i);
    CHECK(sample.epoch == number);
    captions.insert(captions.end(), sample.captions.begin(), sample.captions.end());
  }
  return captions;
}

std::vector<std::int64_t> sorted(std::vector<std::int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<std::int64_t> numbers_below(std::int64_t size) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < size; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("a permutation takes every number once, and another key gives another order", "[data][sampler]") {
  for (const std::int64_t size : {1, 2, 3, 5, 16, 17, 100, 1000, 4096, 10007}) {
    std::set<std::vector<std::int64_t>> orders;
    for (std::uint64_t key = 0; key < 3; ++key) {
      const Permutation permutation(size, key);
      std::vector<std::int64_t> order;
      for (std::int64_t i = 0; i < size; ++i) order.push_back(permutation(i));
      if (size >= 16) CHECK(orders.insert(order).second);
      CHECK(sorted(order) == numbers_below(size));
    }
  }
}

TEST_CASE("every number comes at every place of a permutation equally often", "[data][sampler]") {
  // Chi-square over (place, number) pairs; 5 x 5 cells with 16 degrees of freedom: 99.99 % lie below 44.
  constexpr std::int64_t kItems = 5, kOrders = 5000;
  std::vector<double> counts(kItems * kItems, 0);
  for (std::uint64_t key = 0; key < kOrders; ++key) {
    const Permutation permutation(kItems, stream_seed(3, "test", key));
    for (std::int64_t place = 0; place < kItems; ++place)
      ++counts[static_cast<std::size_t>(place * kItems + permutation(place))];
  }
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - 1000) * (count - 1000) / 1000;
  CHECK(chi_square < 44);
}

TEST_CASE("an epoch holds every caption once, in another order each time", "[data][sampler]") {
  const Prepared prepared(20, 3);
  const Sampler sampler(prepared.cache, {.seed = 1}), other(prepared.cache, {.seed = 2});
  CHECK(sampler.size() == 60);
  CHECK(sorted(captions_of_epoch(sampler, 0)) == numbers_below(60));
  CHECK(sorted(captions_of_epoch(sampler, 7)) == numbers_below(60));
  CHECK(captions_of_epoch(sampler, 0) != captions_of_epoch(sampler, 1));
  CHECK(captions_of_epoch(sampler, 0) != captions_of_epoch(other, 0));
  CHECK(captions_of_epoch(sampler, 3) == captions_of_epoch(Sampler(prepared.cache, {.seed = 1}), 3));
  const Sampler straight(prepared.cache, {.shuffle = false});
  CHECK(captions_of_epoch(straight, 1) == numbers_below(60));
}

TEST_CASE("of each picture the first caption, or one drawn anew each epoch", "[data][sampler]") {
  const Prepared prepared(12, 4);
  const Sampler first(prepared.cache, {.seed = 1, .captions = "first"});
  CHECK(first.size() == 12);
  for (const std::int64_t caption : captions_of_epoch(first, 2)) CHECK(caption % 4 == 0);
  const Sampler random(prepared.cache, {.seed = 1, .captions = "random"});
  std::vector<std::set<std::int64_t>> seen(12);
  for (std::int64_t number = 0; number < 40; ++number) {
    std::set<std::int64_t> images;
    for (std::int64_t i = 0; i < random.size(); ++i) {
      const Sample sample = random.at(number * random.size() + i);
      CHECK(sample.captions.size() == 1);
      CHECK(sample.captions.front() / 4 == sample.image);
      images.insert(sample.image);
      seen[static_cast<std::size_t>(sample.image)].insert(sample.captions.front());
    }
    CHECK(images.size() == 12);
  }
  // That one of 48 captions is never drawn in 40 epochs has a probability of 48 * 0.75^40 = 5e-4; the seed is fixed.
  for (const auto& captions : seen) CHECK(captions.size() == 4);
  CHECK_THROWS_WITH(Sampler(prepared.cache, {.captions = "last"}), ContainsSubstring("expected all, first or random"));
}

TEST_CASE("sources are drawn as often as their weights say", "[data][sampler]") {
  const Dataset common(records(30, 100, 2)), rare(records(10, 500, 1));
  std::vector<std::unique_ptr<CaptionSource>> sources;
  sources.push_back(std::make_unique<WeightedSource>(common, 0.5));
  sources.push_back(std::make_unique<WeightedSource>(rare, 3));
  const TempDir output;
  prepare_sources(sources, options_for(output.path()));
  const auto cache = std::make_shared<const Cache>(output.path(), "train");
  const auto ranges = cache->sources();
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0].weight == 0.5);
  CHECK(ranges[1].first_caption == 60);
  CHECK(ranges[1].num_captions == 10);
  const Sampler sampler(cache, {.seed = 4});
  CHECK(sampler.size() == 60);  // 30 of the common source, 30 of the rare one
  std::vector<int> counts(70, 0);
  for (std::int64_t number = 0; number < 2; ++number)
    for (const std::int64_t caption : captions_of_epoch(sampler, number)) ++counts[static_cast<std::size_t>(caption)];
  for (std::size_t i = 0; i < 70; ++i) CHECK(counts[i] == (i < 60 ? 1 : 6));  // equally often within each source
}

TEST_CASE("captions of similar length come together and none is lost", "[data][sampler]") {
  const Prepared prepared(600, 5);  // 3,000 captions: one stretch, cut into 12 runs
  const Sampler plain(prepared.cache, {.seed = 1}), grouped(prepared.cache, {.seed = 1, .group_by_length = true});
  CHECK(sorted(captions_of_epoch(grouped, 1)) == numbers_below(3000));
  const auto padding = [&](const Sampler& sampler) {
    std::int64_t padded = 0, real = 0;
    for (std::int64_t first = 0; first + 32 <= sampler.size(); first += 32) {
      std::int64_t longest = 0;
      for (std::int64_t i = first; i < first + 32; ++i) {
        const std::int64_t tokens = prepared.cache->num_tokens(sampler.at(i).captions.front());
        longest = std::max(longest, tokens);
        real += tokens;
      }
      padded += 32 * longest;
    }
    return static_cast<double>(padded) / static_cast<double>(real);
  };
  CHECK(padding(plain) > 1.4);
  CHECK(padding(grouped) < 1.05);
  CHECK(captions_of_epoch(grouped, 0) != captions_of_epoch(grouped, 1));
  // Any position can be asked for first.
  const Sampler again(prepared.cache, {.seed = 1, .group_by_length = true});
  CHECK(again.at(4321).captions == grouped.at(4321).captions);
}

TEST_CASE("captions of a picture come together in groups that are cut anew each epoch", "[data][sampler]") {
  const Prepared prepared(20, 5);
  const auto options = [](std::int64_t together, const std::string& captions = "all") {
    return SamplerOptions{.seed = 1, .captions = captions, .captions_per_image = together};
  };
  const Sampler pairs(prepared.cache, options(2)), all(prepared.cache, options(0));
  CHECK(pairs.size() == 60);  // 2 + 2 + 1 captions of 20 pictures
  CHECK(all.size() == 20);
  for (const Sampler* sampler : {&pairs, &all}) {
    CHECK(sorted(captions_of_epoch(*sampler, 0)) == numbers_below(100));
    CHECK(sorted(captions_of_epoch(*sampler, 3)) == numbers_below(100));
  }
  std::set<std::vector<std::int64_t>> groups;
  for (std::int64_t i = 0; i < 10 * pairs.size(); ++i) {
    const Sample sample = pairs.at(i);
    REQUIRE((sample.captions.size() == 1 || sample.captions.size() == 2));
    for (const std::int64_t caption : sample.captions) CHECK(caption / 5 == sample.image);
    if (sample.image == 7 && sample.captions.size() == 2) groups.insert(sorted(sample.captions));
  }
  CHECK(groups.size() >= 6);  // of ten pairs that five captions have
  const Sampler first(prepared.cache, options(3, "first")), random(prepared.cache, options(3, "random"));
  CHECK(first.size() == 20);
  for (std::int64_t i = 0; i < 20; ++i) {
    const Sample sample = first.at(i);
    CHECK(sample.captions == std::vector<std::int64_t>{5 * sample.image, 5 * sample.image + 1, 5 * sample.image + 2});
    const Sample drawn = random.at(i);
    CHECK(std::set<std::int64_t>(drawn.captions.begin(), drawn.captions.end()).size() == 3);
  }
  CHECK_THROWS_WITH(Sampler(prepared.cache, options(-1)), ContainsSubstring("captions_per_image"));
}

}  // namespace capstan::testing
