// Every kind of picture gives the pixels that Pillow gives; everything else is refused with its reason.
#include "capstan/image/decode.h"

#include <algorithm>
#include <cstdlib>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "support/catch.h"
#include "unit/image/fixtures.h"

using namespace capstan;
using capstan::testing::decode;
using capstan::testing::fixture;
using capstan::testing::fixture_bytes;

namespace {

int largest_difference(const Image& a, const Image& b) {
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

std::string refusal(const std::string& bytes, const DecodeOptions& options = {}) {
  try {
    decode(bytes, "album/x.jpg", options);
  } catch (const DataError& error) {
    return error.what();
  }
  return "decoded";
}

// `bytes` with the 16-bit big-endian number at `at` replaced.
std::string with_big16(std::string bytes, std::size_t at, int value) {
  bytes.at(at) = static_cast<char>(value >> 8);
  bytes.at(at + 1) = static_cast<char>(value & 0xFF);
  return bytes;
}

// Position of the frame header's precision byte in a JPEG; height and width follow.
std::size_t frame_of(const std::string& jpeg) { return jpeg.find(std::string("\xFF\xC0", 2)) + 4; }

// A photo-like JPEG: smooth colours of 160 rows and 240 columns.
std::string smooth_jpeg() {
  Image image{.height = 160, .width = 240, .rgb = {}};
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (const int level : {x, y + 40, 255 - (x + y) / 2}) image.rgb.push_back(static_cast<std::uint8_t>(level));
  return encode_jpeg(image, 95);
}

Image decode_fast(const std::string& bytes, WantedSize wanted) {
  return decode_image(std::as_bytes(std::span(bytes)), "x", {.jpeg = "fast"}, wanted);
}

}  // namespace

TEST_CASE("every kind of picture decodes to Pillow's pixels", "[image][decode]") {
  const auto golden = capstan::testing::golden("images.json");
  REQUIRE(golden.at("pictures").size() == 32);
  for (const auto& [name, entry] : golden.at("pictures").items()) {
    INFO(name);
    const Image expected = capstan::testing::golden_image(entry);
    const Image found = read_image(fixture(name));
    REQUIRE(found.height == expected.height);
    REQUIRE(found.width == expected.width);
    REQUIRE(found.rgb.size() == expected.rgb.size());
    CHECK(largest_difference(found, expected) <= entry.at("tolerance").get<int>());
  }
}

TEST_CASE("all eight orientations show the same picture", "[image][decode]") {
  const Image upright = read_image(fixture("orientation_1.jpg"));
  for (int orientation = 2; orientation <= 8; ++orientation) {
    const Image turned = read_image(fixture("orientation_" + std::to_string(orientation) + ".jpg"));
    CHECK((turned.height == upright.height) == (orientation < 5));
    CHECK(turned.height * turned.width == upright.height * upright.width);
  }
}

TEST_CASE("transparent pixels take the grey level that is asked for", "[image][decode]") {
  const Image black = decode(fixture_bytes("grey_key.png"), "x", {.background = 0});
  const Image white = decode(fixture_bytes("grey_key.png"), "x");
  int differing = 0;
  for (std::size_t i = 0; i < black.rgb.size(); ++i) {
    if (black.rgb[i] == white.rgb[i]) continue;
    ++differing;
    CHECK(black.rgb[i] == 0);
    CHECK(white.rgb[i] == 255);
  }
  CHECK(differing > 0);
}

TEST_CASE("a JPEG that is cut short is refused wherever it is cut", "[image][decode]") {
  const std::string whole = fixture_bytes("grey.jpg");
  for (std::size_t size = 3; size < whole.size(); ++size) {
    INFO(size);
    CHECK(refusal(whole.substr(0, size)).find("corrupt JPEG") != std::string::npos);
  }
  CHECK(refusal(whole.substr(0, whole.size() - 2)) ==
        "album/x.jpg: corrupt JPEG: the file ends before the end of the picture (cut short).");
  CHECK_NOTHROW(decode(whole + "trailing bytes", "x"));
}

TEST_CASE("other formats that are cut short are refused", "[image][decode]") {
  for (const char* name : {"rgb.png", "rgb.bmp", "rgb.webp", "rgb.ppm", "noise.gif"}) {
    const std::string whole = fixture_bytes(name);
    for (const double part : {0.2, 0.5, 0.8}) {
      INFO(name << " " << part);
      const std::string text = refusal(whole.substr(0, static_cast<std::size_t>(part * double(whole.size()))));
      CHECK(text.find("album/x.jpg: corrupt ") == 0);
    }
  }
}

TEST_CASE("damaged bytes are decoded or refused but never crash", "[image][decode]") {
  Random random(3);
  for (const char* name : {"rgb.png", "cmyk.jpg", "rgb.bmp", "rgb.webp", "rgb.tif", "noise.gif", "palette_key.png"}) {
    const std::string whole = fixture_bytes(name);
    for (int trial = 0; trial < 60; ++trial) {
      std::string damaged = whole;
      for (int i = 0; i < 4; ++i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
      refusal(damaged, {.max_pixels = 1'000'000});
    }
  }
}

TEST_CASE("a header that lies about its size is refused before memory is taken", "[image][decode]") {
  const std::string jpeg = fixture_bytes("grey.jpg");
  const std::size_t frame = frame_of(jpeg);
  CHECK(refusal(with_big16(with_big16(jpeg, frame + 1, 65500), frame + 3, 65500)) ==
        "album/x.jpg: its header says 65500x65500 pixels; at most 100000000 pixels are read.");
  std::string png = fixture_bytes("rgb.png");
  png[16] = png[20] = 0x7F;
  CHECK_THAT(refusal(png), ContainsSubstring("pixels; at most 100000000 pixels are read"));
  std::string gif = fixture_bytes("still.gif");
  gif.replace(6, 4, "\xFF\xFF\xFF\xFF");
  CHECK_THAT(refusal(gif), ContainsSubstring("65535x65535 pixels; at most"));
  CHECK_THAT(refusal(fixture_bytes("rgb.bmp"), {.max_pixels = 24 * 16 - 1}),
             ContainsSubstring("24x16 pixels; at most 383 pixels are read"));
  CHECK_NOTHROW(decode(fixture_bytes("rgb.bmp"), "x", {.max_pixels = 24 * 16}));
}

TEST_CASE("pictures whose samples would not fit into memory are refused", "[image][decode]") {
  // 16-bit RGBA of 10000 x 10000 pixels.
  std::string png = fixture_bytes("rgb.png");
  for (const std::size_t at : {std::size_t{16}, std::size_t{20}})
    png = with_big16(with_big16(png, at, 0), at + 2, 10000);
  png[24] = 16;
  png[25] = 6;
  CHECK(refusal(png) == "album/x.jpg: decoding its 10000x10000 pixels could take 1049 MiB; at most 1024 are used.");
  // A progressive JPEG keeps the coefficients of all four components.
  std::string jpeg = fixture_bytes("cmyk.jpg");
  const std::size_t frame = frame_of(jpeg);
  jpeg = with_big16(with_big16(jpeg, frame + 1, 10000), frame + 3, 10000);
  jpeg[frame - 3] = static_cast<char>(0xC2);
  CHECK(refusal(jpeg) == "album/x.jpg: decoding its 10000x10000 pixels would take more than 1024 MiB.");
}

TEST_CASE("a JPEG with more scans than its size allows is refused", "[image][decode]") {
  std::string jpeg = fixture_bytes("grey.jpg");
  const std::size_t scan = jpeg.find("\xFF\xDA");
  const std::string segment = jpeg.substr(scan, 10);
  for (int i = 0; i < 20; ++i) jpeg.insert(scan, segment);
  const std::size_t frame = frame_of(jpeg);
  const std::string huge = with_big16(with_big16(jpeg, frame + 1, 8000), frame + 3, 8000);
  CHECK(refusal(huge) ==
        "album/x.jpg: JPEG with 21 scans over 8000x8000 pixels, which would take too long; expected up to 20.");
  CHECK_THAT(refusal(jpeg), !ContainsSubstring("scans"));
}

TEST_CASE("fast decoding shrinks a JPEG to no less than what is wanted", "[image][decode]") {
  const std::string jpeg = smooth_jpeg();
  const Image whole = decode(jpeg, "x");
  REQUIRE(whole.height == 160);
  const auto height_for = [&](int height, int width) { return decode_fast(jpeg, {height, width}).height; };
  CHECK(height_for(20, 30) == 20);
  CHECK(height_for(20, 31) == 40);
  CHECK(height_for(41, 41) == 80);
  CHECK(height_for(81, 81) == 160);
  CHECK(height_for(0, 0) == 160);
  const auto exact = decode_image(std::as_bytes(std::span(jpeg)), "x", {}, {20, 30});
  CHECK(exact.rgb == whole.rgb);
  const Image half = decode_fast(jpeg, {80, 120});
  REQUIRE(half.width == 120);
  double sum = 0;
  for (std::size_t i = 0; i < half.rgb.size(); ++i) {
    const std::size_t y = i / (120 * 3), x = i / 3 % 120, c = i % 3;
    sum += std::abs(half.rgb[i] - whole.rgb[(y * 2 * 240 + x * 2) * 3 + c]);
  }
  CHECK(sum / static_cast<double>(half.rgb.size()) < 2);
}

TEST_CASE("fast decoding counts the wanted sides after turning", "[image][decode]") {
  const std::string turned = fixture_bytes("orientation_6.jpg");
  const Image whole = decode(turned, "x");
  REQUIRE(whole.height == 24);
  REQUIRE(whole.width == 16);
  CHECK(decode_fast(turned, {12, 8}).height == 12);
  CHECK(decode_fast(turned, {8, 12}).height == 24);
}

TEST_CASE("sizes of zero and depths that are not read are named", "[image][decode]") {
  const std::string jpeg = fixture_bytes("grey.jpg");
  const std::size_t frame = frame_of(jpeg);
  CHECK(refusal(with_big16(jpeg, frame + 1, 0)) == "album/x.jpg: corrupt JPEG: its size is 24x0.");
  std::string deep = jpeg;
  deep[frame] = 12;
  CHECK(refusal(deep) == "album/x.jpg: JPEG with 12 bits per sample; expected 8.");
}

TEST_CASE("files that are no pictures are told apart", "[image][decode]") {
  CHECK(refusal("") == "album/x.jpg: the file is empty.");
  CHECK(refusal("<html><body>Not Found") ==
        "album/x.jpg: not a picture that can be read: it begins with '<html><body>Not Found'; expected JPEG, PNG, GIF, "
        "BMP, WebP, TIFF and PNM.");
  CHECK(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n") ==
        "album/x.jpg: this is a Git LFS pointer, not the picture; fetch it with 'git lfs pull'.");
  CHECK(refusal("\xFF\xD8\xFF\xD9") == "album/x.jpg: corrupt JPEG: it holds no picture, only headers.");
  CHECK_THROWS_AS(read_image(fixture("absent.jpg")), DataError);
}

TEST_CASE("a picture encoded as JPEG comes back nearly the same", "[image][decode]") {
  const Image image = read_image(fixture("rgb.png"));
  const Image back = decode(encode_jpeg(image, 95), "x");
  REQUIRE(back.height == image.height);
  REQUIRE(back.width == image.width);
  double sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); ++i) sum += std::abs(image.rgb[i] - back.rgb[i]);
  CHECK(sum / static_cast<double>(image.rgb.size()) < 3);  // colours are stored at half resolution
  CHECK(encode_jpeg(image, 40).size() < encode_jpeg(image, 95).size());
  CHECK(encode_jpeg(image, 90) == encode_jpeg(image, 90));
}
