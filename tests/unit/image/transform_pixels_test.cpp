// Single operations on small pictures. The bytes are Pillow's, as tests/parity/test_transforms.py asks it for them.
#include <string>

#include "capstan/image/adjust.h"
#include "capstan/image/geometry.h"
#include "capstan/image/rand_augment.h"
#include "fixtures.h"
#include "support/catch.h"
#include "transform_fixtures.h"

using namespace capstan;

namespace {

Image small_picture() {
  Image image{.height = 4, .width = 5, .rgb = {}};
  for (int i = 0; i < 60; ++i) image.rgb.push_back(static_cast<std::uint8_t>((i * i * 29 + i * 37 + 11) % 256));
  return image;
}

Image two_levels(int height, int num_dark) {
  Image image{.height = height, .width = 1, .rgb = {}};
  for (int i = 0; i < height * 3; ++i) image.rgb.push_back(i < num_dark * 3 ? 9 : 200);
  return image;
}

template <class Change>
void check_bytes(const char* expected, Change change) {
  Image image = small_picture();
  change(image);
  INFO(expected);
  CHECK(image.rgb == testing::from_hex(expected));
}

}  // namespace

TEST_CASE("adjustments give Pillow's bytes", "[image][transform]") {
  check_bytes(
      "0e64ffa590c6ffc995acff711d1659e8764f73e3510b1061fd987eafffa76e80de3affff139d25ff1883ffededff8318ff259d13ffff3ade"
      "806ea7ff",
      [](Image& image) { adjust_brightness(image, 1.3); });
  check_bytes(
      "4e699a7d7687af88787f9e6d535166926e626e90634e4f6898797180a67e6c728e5ca7a3507a56ae5272aa9393aa7252ae567a50a3a75c8e"
      "726c7ea6",
      [](Image& image) { adjust_contrast(image, 0.4); });
  check_bytes(
      "0051ff8368afff894569ea1b150b63e04a1737c90b020872ea66445fff554860da00ffff009600ff0067ffababff4d00ff008300ffff00cb"
      "503782ff",
      [](Image& image) { adjust_saturation(image, 1.7); });
  check_bytes(
      "0b4dc97f6f99fd9b7385d157171145b35b3d58d11b000038e5746087e7815563ab09ffff007800ff0052f1b7b7f16513fb1d790fdfe92dab"
      "635581e7",
      [](Image& image) { adjust_sharpness(image, 1.9); });
  check_bytes(
      "0bc9606f9299fd73eed1885811453fb33dacaf7e3f094b39c361c2e7cc8255ab8c5ee92e79700f7614fbe7b7f1f114ca711efb33e9108fab"
      "2e55e79d",
      [](Image& image) { adjust_hue(image, -0.2); });
  check_bytes(
      "0848c8786898f8987080d050101040b0583858a838080848c0706080e0805060a828e8d8087818f81060f0b0b0f06010f8187808d8e828a8"
      "605080e0",
      [](Image& image) { posterize(image, 5); });
  check_bytes(
      "0b4d3680906602648c7a2e571711454c5b3d59503f090d4b3c8a6178187e5563542d16200f861d0413650e48480e6513041d860f20162d54"
      "63557e18",
      [](Image& image) { solarize(image, 255.0 * 0.4); });
  check_bytes(
      "024ad87b719fffa47281e3510e043bb15a3253bb34000042c2785c83fc834f63b525fff3067d0bfc0661f2c5c3f26600fc127906f3ff25b7"
      "5f4f86fc",
      [](Image& image) { autocontrast(image); });
}

TEST_CASE("movements give Pillow's bytes", "[image][transform]") {
  check_bytes(
      "17114585d157fd9b737f6f990b4dc987e781c37561090d4b59af3fb35b3df1b7b7fb13650f791d2de9df5563ab5581e72dab630fdfe9fb1d"
      "79f16513",
      [](Image& image) { flip_horizontal(image); });
  check_bytes(
      "0b4dc97f6f99fd9b7385d157171145b35b3d59af3f090d4bc3756187e7812de9df0f791dfb1365f1b7b7000000fb1d790fdfe92dab635581"
      "e7000000",
      [](Image& image) { image = shear_x(image, 0.3); });
  check_bytes(
      "0b4dc97f6f99000000000000000000b35b3d59af3ffd9b7385d1571711455563ab2de9df090d4bc3756187e781f16513fb1d790f791dfb13"
      "65f1b7b7",
      [](Image& image) { image = shear_y(image, -0.3); });
  check_bytes(
      "fd9b7385d157171145000000000000090d4bc3756187e7810000000000000f791dfb1365f1b7b70000000000000fdfe92dab635581e70000"
      "00000000",
      [](Image& image) { translate(image, -2, 0); });
  check_bytes(
      "0000000000000000000000000000000b4dc97f6f99fd9b7385d157171145b35b3d59af3f090d4bc3756187e7815563ab2de9df0f791dfb13"
      "65f1b7b7",
      [](Image& image) { translate(image, 0, 1); });
  check_bytes(
      "000000fd9b7385d15787e78187e7810b4dc959af3f090d4bfb1365f1b7b7b35b3d59af3f0f791dfb13655581e75563ab5563abfb1d790fdf"
      "e9000000",
      [](Image& image) { image = rotate(image, 27); });
}

TEST_CASE("a histogram is flattened as by Pillow, and not where it has too few pixels", "[image][transform]") {
  Image image{.height = 32, .width = 32, .rgb = {}};
  for (int i = 0; i < 32 * 32; ++i) image.rgb.insert(image.rgb.end(), 3, static_cast<std::uint8_t>(50 + i % 4 * 10));
  equalize(image);
  const int expected[] = {0, 85, 171, 255};
  for (std::size_t i = 0; i < 4; ++i) CHECK(image.rgb[i * 3] == expected[i]);
  Image flat = two_levels(510, 500);  // sums would go past 255
  equalize(flat);
  CHECK(flat.rgb.front() == 0);
  CHECK(flat.rgb.back() == 255);
  Image few = two_levels(254, 253);
  equalize(few);
  CHECK(testing::same(few, two_levels(254, 253)));
}

TEST_CASE("a factor of one changes nothing and a factor of zero leaves what Pillow leaves", "[image][transform]") {
  const Image picture = testing::noise(9, 14, 1);
  for (auto* adjust : {adjust_brightness, adjust_contrast, adjust_saturation, adjust_sharpness}) {
    Image image = picture;
    adjust(image, 1.0);
    CHECK(testing::same(image, picture));
  }
  Image black = picture;
  adjust_brightness(black, 0);
  CHECK(black.rgb == std::vector<std::uint8_t>(black.rgb.size(), 0));
  Image flat = picture;
  adjust_contrast(flat, 0);
  CHECK(flat.rgb == std::vector<std::uint8_t>(flat.rgb.size(), flat.rgb[0]));
}

TEST_CASE("a crop and a shift tell where their pixels came from", "[image][transform]") {
  const Image picture = testing::map_of_pixels(20, 30);
  const Image part = crop(picture, 3, 7, 5, 4);
  REQUIRE(part.height == 5);
  REQUIRE(part.width == 4);
  CHECK(part.rgb[0] == 7);
  CHECK(part.rgb[1] == 3);
  CHECK(part.rgb[part.rgb.size() - 3] == 10);
  CHECK(part.rgb[part.rgb.size() - 2] == 7);
  for (int right = -31; right <= 31; ++right)
    for (const int down : {-21, -19, -4, 0, 1, 19, 20}) {
      Image moved = picture;
      translate(moved, right, down);
      bool all = true;
      for (int y = 0; y < 20; ++y)
        for (int x = 0; x < 30; ++x) {
          const auto* pixel = moved.rgb.data() + (y * 30 + x) * 3;
          const bool comes = x >= right && x - right < 30 && y >= down && y - down < 20;
          all = all && (comes ? pixel[0] == x - right && pixel[1] == y - down && pixel[2] == 255
                              : pixel[0] == 0 && pixel[1] == 0 && pixel[2] == 0);
        }
      INFO(right << " " << down);
      CHECK(all);
    }
}

TEST_CASE("four quarter turns and two mirrors come back", "[image][transform]") {
  const Image picture = testing::noise(31, 31, 2);
  Image turned = picture;
  for (int i = 0; i < 4; ++i) turned = rotate(turned, 90);
  CHECK(testing::same(turned, picture));
  CHECK_FALSE(testing::same(rotate(picture, 90), picture));
  CHECK(testing::same(rotate(rotate(picture, 90), -90), picture));
  Image mirrored = picture;
  flip_horizontal(mirrored);
  CHECK_FALSE(testing::same(mirrored, picture));
  flip_horizontal(mirrored);
  CHECK(testing::same(mirrored, picture));
}

TEST_CASE("the table of magnitudes runs from nothing to torchvision's strongest", "[image][transform]") {
  const auto operations = rand_augment_operations();
  REQUIRE(operations.size() == 14);
  const auto strongest = [&](const std::string& name) {
    for (const auto& operation : operations)
      if (operation.name == name) return operation.magnitude(30, 31, 224, 448);
    FAIL(name);
    return 0.0;
  };
  CHECK(strongest("ShearX") == Approx(0.3));
  CHECK(strongest("TranslateX") == Approx(150.0 / 331.0 * 448));
  CHECK(strongest("TranslateY") == Approx(150.0 / 331.0 * 224));
  CHECK(strongest("Rotate") == Approx(30));
  CHECK(strongest("Contrast") == Approx(0.9));
  CHECK(strongest("Posterize") == 4);
  CHECK(strongest("Solarize") == 0);
}
