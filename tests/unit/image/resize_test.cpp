// Resizing gives the very bytes of Pillow.
#include "capstan/image/resize.h"

#include "support/catch.h"
#include "unit/image/fixtures.h"

using namespace capstan;

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
