// Resizing gives the very bytes of Pillow.
#include "capstan/image/resize.h"

#include <algorithm>

#include "capstan/core/random.h"
#include "image/resize_passes.h"
#include "support/catch.h"
#include "unit/image/fixtures.h"

using namespace capstan;

namespace {

std::vector<std::uint8_t> noise(Random& random, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

// A size from 1 to 70, small ones often.
int some_size(Random& random) { return 1 + static_cast<int>(random.below(1 + random.below(70))); }

}  // namespace

TEST_CASE("every filter gives Pillow's bytes, shrinking and growing", "[image][resize]") {
  const auto golden = capstan::testing::golden("images.json").at("resize");
  const Image source = capstan::testing::golden_image(golden);
  REQUIRE(golden.at("cases").size() == 48);
  for (const auto& entry : golden.at("cases")) {
    const Image expected = capstan::testing::golden_image(entry);
    const int resample = entry.at("resample");
    INFO(expected.height << "x" << expected.width << " by filter " << resample);
    const Image found = resize(source, expected.height, expected.width, static_cast<Resample>(resample));
    CHECK(found.height == expected.height);
    CHECK(found.width == expected.width);
    CHECK(found.rgb == expected.rgb);
  }
}

TEST_CASE("resizing to the same size changes nothing", "[image][resize]") {
  const Image source = capstan::testing::golden_image(capstan::testing::golden("images.json").at("resize"));
  CHECK(resize(source, source.height, source.width, Resample::kLanczos).rgb == source.rgb);
}

TEST_CASE("a plain picture stays plain under every filter", "[image][resize]") {
  const Image plain{.height = 7, .width = 9, .rgb = std::vector<std::uint8_t>(7 * 9 * 3, 200)};
  for (int resample = 0; resample < 6; ++resample) {
    const Image resized = resize(plain, 31, 4, static_cast<Resample>(resample));
    CHECK(resized.rgb == std::vector<std::uint8_t>(31 * 4 * 3, 200));
  }
}

TEST_CASE("AVX2 and plain C++ give the same bytes for every size and filter", "[image][resize]") {
  using namespace capstan::image_io;
  if (!has_avx2()) SKIP("this processor has no AVX2");
  const Passes plain = plain_passes();
  const Passes fast = avx2_passes();
  Random random(7);
  for (int trial = 0; trial < 400; ++trial) {
    const int in_size = some_size(random) * (trial % 5 == 0 ? 9 : 1);
    const int out_size = some_size(random);
    const int other = some_size(random);
    const auto resample = static_cast<Resample>(1 + random.below(5));
    const int begin = static_cast<int>(random.below(static_cast<std::uint64_t>(out_size)));
    const int count = 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(out_size - begin)));
    INFO(in_size << " to " << out_size << " by filter " << static_cast<int>(resample) << ", beside " << other);
    const Taps taps = make_taps(in_size, out_size, resample, begin, count);
    const auto pixels = static_cast<std::size_t>(taps.in_size) * static_cast<std::size_t>(other) * 3;
    const auto in = noise(random, pixels);  // of the very size, so that a sanitizer sees reads beyond it
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(count) * static_cast<std::size_t>(other) * 3);
    std::vector<std::uint8_t> found(expected.size());
    const std::size_t row = static_cast<std::size_t>(taps.in_size) * 3;
    plain.width(in.data(), row, other, taps, expected.data());
    fast.width(in.data(), row, other, taps, found.data());
    CHECK(found == expected);
    const std::size_t side = static_cast<std::size_t>(other) * 3;
    plain.height(in.data(), side, side, taps, expected.data());
    fast.height(in.data(), side, side, taps, found.data());
    CHECK(found == expected);
  }
}

TEST_CASE("a region of a resized picture is what the whole would have there", "[image][resize]") {
  Random random(8);
  for (int trial = 0; trial < 200; ++trial) {
    Image image{.height = some_size(random), .width = some_size(random), .rgb = {}};
    image.rgb = noise(random, static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width) * 3);
    const int height = trial % 7 == 0 ? image.height : some_size(random);
    const int width = trial % 5 == 0 ? image.width : some_size(random);
    const auto resample = static_cast<Resample>(random.below(6));
    Region region{.top = static_cast<int>(random.below(static_cast<std::uint64_t>(height))),
                  .left = static_cast<int>(random.below(static_cast<std::uint64_t>(width)))};
    region.height = 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(height - region.top)));
    region.width = 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(width - region.left)));
    INFO(image.height << "x" << image.width << " to " << height << "x" << width << ", filter "
                      << static_cast<int>(resample));
    const Image whole = resize(image, height, width, resample);
    const Image part = resize_region(image, height, width, resample, region);
    REQUIRE(part.height == region.height);
    REQUIRE(part.width == region.width);
    bool same = true;
    for (int y = 0; y < part.height; ++y)
      same = same && std::equal(part.rgb.begin() + std::ptrdiff_t{y} * part.width * 3,
                                part.rgb.begin() + std::ptrdiff_t{y + 1} * part.width * 3,
                                whole.rgb.begin() + (std::ptrdiff_t{region.top + y} * width + region.left) * 3);
    CHECK(same);
  }
}
