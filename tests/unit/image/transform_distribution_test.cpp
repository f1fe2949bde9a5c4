// How often and how much: counts within four deviations, sizes within their ranges. Seeds are fixed, so that a
// failure is a change of ours and not bad luck.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "capstan/image/rand_augment.h"
#include "support/catch.h"
#include "transform_fixtures.h"

using namespace capstan;
using testing::make_transform;

namespace {

// A count of `trials` is within four deviations of what `probability` lets expect.
void check_rate(int count, int trials, double probability) {
  const double deviation = std::sqrt(trials * probability * (1 - probability));
  INFO(count << " of " << trials << " at " << probability);
  CHECK(std::abs(count - trials * probability) <= 4 * deviation);
}

struct Box {
  int left, top, right, bottom;  // the last two still belong to it
  int width() const { return right - left + 1; }
  int height() const { return bottom - top + 1; }
};

// Enlarging by the nearest filter shows every pixel of the part, so that its corners can be read off.
Box part_shown(const Image& image) {
  const std::size_t last = image.rgb.size() - 3;
  return {image.rgb[0], image.rgb[1], image.rgb[last], image.rgb[last + 1]};
}

}  // namespace

TEST_CASE("a random part keeps to its areas and shapes and reaches all places", "[image][transform]") {
  const Image picture = testing::map_of_pixels(200, 256);
  const auto transform = make_transform("random_resized_crop", "{scale: [0.1, 0.6], ratio: [0.5, 2], resample: [0]}");
  Random random(11);
  constexpr int kTrials = 4000;
  int num_small = 0, num_flat = 0, num_left = 0, num_upper = 0;
  double least = 1, most = 0;
  for (int i = 0; i < kTrials; ++i) {
    const Box box = part_shown((*transform)(picture, random));
    const double share = box.width() * box.height() / (200.0 * 256.0);
    const double ratio = static_cast<double>(box.width()) / box.height();
    // Sides are rounded to pixels: of at least 40 pixels, by half a pixel.
    REQUIRE(share > 0.1 * 0.97);
    REQUIRE(share < 0.6 * 1.03);
    REQUIRE(ratio > 0.5 * 0.97);
    REQUIRE(ratio < 2.0 * 1.03);
    least = std::min(least, share);
    most = std::max(most, share);
    num_small += share < 0.3;
    num_flat += ratio > 1;
    num_left += box.left < 256 - 1 - box.right;
    num_upper += box.top < 200 - 1 - box.bottom;
  }
  CHECK(least < 0.12);
  CHECK(most > 0.58);
  // Parts that would not fit are drawn again, so areas and shapes are only nearly uniform here.
  CHECK(num_small > kTrials * 0.38);
  CHECK(num_small < kTrials * 0.48);
  CHECK(num_flat > kTrials * 0.47);
  CHECK(num_flat < kTrials * 0.58);
  check_rate(num_left, kTrials, 0.5 - 0.5 / 100);  // as many to the right, and a few in the middle
  check_rate(num_upper, kTrials, 0.5 - 0.5 / 70);
}

TEST_CASE("the areas of parts that always fit are uniform", "[image][transform]") {
  const Image picture = testing::map_of_pixels(256, 256);
  const auto transform = make_transform("random_resized_crop", "{scale: [0.2, 0.7], ratio: [1, 1], resample: [0]}");
  Random random(12);
  constexpr int kTrials = 4000;
  std::vector<int> counts(5);
  for (int i = 0; i < kTrials; ++i) {
    const Box box = part_shown((*transform)(picture, random));
    REQUIRE(box.width() == box.height());
    const double share = box.width() * box.height() / (256.0 * 256.0);
    ++counts[static_cast<std::size_t>(std::clamp((share - 0.2) / 0.1, 0.0, 4.0))];
  }
  // A fifth each; a side rounded to pixels moves the borders by up to 1/256 of the area, 4 % of a fifth.
  for (const int count : counts) CHECK(std::abs(count - kTrials / 5.0) < 4 * std::sqrt(kTrials * 0.2 * 0.8) + 32);
}

TEST_CASE("where no part fits, the largest one of an allowed shape is taken from the middle", "[image][transform]") {
  Random random(13);
  const auto square = make_transform("random_resized_crop", "{scale: [1, 1], ratio: [1, 1], resample: [0]}");
  const Box high = part_shown((*square)(testing::map_of_pixels(100, 40), random));
  CHECK(high.width() == 40);
  CHECK(high.height() == 40);
  CHECK(high.top == 30);
  const Box wide = part_shown((*square)(testing::map_of_pixels(50, 180), random));
  CHECK(wide.width() == 50);
  CHECK(wide.height() == 50);
  CHECK(wide.left == 65);
  const auto free = make_transform("random_resized_crop", "{scale: [1, 1], ratio: [0.5, 3], resample: [0]}");
  const Image picture = testing::noise(60, 50, 2);
  int num_whole = 0;
  for (int i = 0; i < 200; ++i) num_whole += testing::same((*free)(picture, random), picture);
  CHECK(num_whole > 150);  // the whole picture, unless a part as large happens to fit
}

TEST_CASE("resampling filters are mixed", "[image][transform]") {
  const Image picture = testing::noise(24, 24, 3);
  const auto transform =
      make_transform("random_resized_crop", "{scale: [1, 1], ratio: [0.8, 0.8], resample: [0, 2, 3]}");
  // No part fits, so the same one is taken each time: all of the height, four fifths of the width.
  std::map<std::string, int> seen;
  Random random(14);
  constexpr int kTrials = 3000;
  for (int i = 0; i < kTrials; ++i) ++seen[testing::key_of((*transform)(picture, random))];
  REQUIRE(seen.size() == 3);
  for (const auto& [pixels, count] : seen) check_rate(count, kTrials, 1.0 / 3);
}

TEST_CASE("pictures are mirrored as often as asked", "[image][transform]") {
  const Image picture = testing::noise(2, 3, 4);
  for (const double p : {0.0, 0.1, 0.5, 1.0}) {
    const auto transform = make_transform("horizontal_flip", "{p: " + std::to_string(p) + "}");
    Random random(15);
    int count = 0;
    for (int i = 0; i < 10000; ++i) count += !testing::same((*transform)(picture, random), picture);
    check_rate(count, 10000, p);
  }
}

TEST_CASE("a shifted picture reaches every offset equally often", "[image][transform]") {
  const Image picture = testing::map_of_pixels(9, 9);
  const auto transform = make_transform("random_crop", "{padding: 2}");
  std::map<std::pair<int, int>, int> seen;
  Random random(16);
  constexpr int kTrials = 10000;
  for (int i = 0; i < kTrials; ++i) {
    const Image out = (*transform)(picture, random);
    const auto* centre = out.rgb.data() + (4 * 9 + 4) * 3;
    ++seen[{centre[0] - 4, centre[1] - 4}];
  }
  REQUIRE(seen.size() == 25);
  for (const auto& [offset, count] : seen) check_rate(count, kTrials, 1.0 / 25);
}

TEST_CASE("factors of brightness fill their range", "[image][transform]") {
  const Image grey{.height = 1, .width = 1, .rgb = {100, 100, 100}};
  const auto transform = make_transform("color_jitter", "{brightness: 0.4}");
  Random random(17);
  constexpr int kTrials = 8000;
  int num_dark = 0, least = 255, most = 0;
  for (int i = 0; i < kTrials; ++i) {
    const int level = (*transform)(grey, random).rgb[0];
    least = std::min(least, level);
    most = std::max(most, level);
    num_dark += level < 80;  // a quarter of 60..140
  }
  CHECK(least == 60);
  CHECK(most == 139);  // truncated, as Pillow does
  check_rate(num_dark, kTrials, 0.25);
}

TEST_CASE("changes of colour come in any order", "[image][transform]") {
  // Black and white, made brighter and flatter: white that is made brighter stays white, so that levels which lie as
  // far from black as from white tell that contrast came last.
  const Image picture{.height = 1, .width = 2, .rgb = {0, 0, 0, 255, 255, 255}};
  const auto transform = make_transform("color_jitter", "{brightness: 1, contrast: 1}");
  Random random(18);
  constexpr int kTrials = 8000;
  int num_contrast_last = 0, num_brightness_last = 0;
  for (int i = 0; i < kTrials; ++i) {
    const Image out = (*transform)(picture, random);
    const int low = out.rgb[0], high = out.rgb[3];
    if (low == 0 || high <= low) continue;  // contrast was raised
    num_contrast_last += std::abs(low + high - 255) <= 3;
    num_brightness_last += low + high > 258;
  }
  // A half is made brighter and a half of those flatter, and each order has a half of that. Factors near one count
  // for the wrong side or for none: 0.5 % of all.
  for (const int count : {num_contrast_last, num_brightness_last}) {
    CHECK(count > kTrials * (0.125 - 0.005) - 4 * std::sqrt(kTrials * 0.125));
    CHECK(count < kTrials * (0.125 + 0.005) + 4 * std::sqrt(kTrials * 0.125));
  }
}

TEST_CASE("operations are drawn equally often, with either sign", "[image][transform]") {
  const Image picture = testing::noise(40, 40, 6, 30, 200);  // room at both ends, so that all operations differ
  std::map<std::string, std::pair<std::string, double>> known;
  for (const auto& operation : rand_augment_operations()) {
    const double magnitude = operation.magnitude(20, 31, 40, 40);
    known[testing::key_of(operation.apply(picture, magnitude))] = {operation.name, magnitude};
    if (operation.is_signed)
      known[testing::key_of(operation.apply(picture, -magnitude))] = {operation.name, -magnitude};
  }
  REQUIRE(known.size() == 14 + 9);
  const auto transform = make_transform("rand_augment", "{num_ops: 1, magnitude: 20}");
  std::map<std::string, int> drawn;
  std::map<std::string, int> negative;
  Random random(19);
  constexpr int kTrials = 7000;
  for (int i = 0; i < kTrials; ++i) {
    const auto found = known.find(testing::key_of((*transform)(picture, random)));
    REQUIRE(found != known.end());
    ++drawn[found->second.first];
    negative[found->second.first] += found->second.second < 0;
  }
  for (const auto& operation : rand_augment_operations()) {
    INFO(operation.name);
    check_rate(drawn[operation.name], kTrials, 1.0 / 14);
    if (operation.is_signed) check_rate(negative[operation.name], drawn[operation.name], 0.5);
  }
}

TEST_CASE("as many operations are applied as asked", "[image][transform]") {
  const Image picture = testing::noise(15, 15, 7, 30, 200);
  const auto one = make_transform("rand_augment", "{num_ops: 1}");
  const auto six = make_transform("rand_augment", "{num_ops: 6}");
  int num_changed_once = 0, num_changed_often = 0;
  Random random(20);
  for (int i = 0; i < 2000; ++i) {
    num_changed_once += !testing::same((*one)(picture, random), picture);
    num_changed_often += !testing::same((*six)(picture, random), picture);
  }
  // Identity, and an equalisation of a picture that has too few pixels, change nothing.
  check_rate(num_changed_once, 2000, 12.0 / 14);
  CHECK(num_changed_often > 1990);
}
