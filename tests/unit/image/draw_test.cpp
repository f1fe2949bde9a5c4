// Shapes land where they are drawn, in the colour asked for.
#include "capstan/image/draw.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "support/catch.h"

using namespace capstan;

namespace {

Rgb pixel_at(const Image& image, int x, int y) {
  const std::uint8_t* pixel = image.rgb.data() + (y * image.width + x) * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

bool same(Rgb a, Rgb b) { return a.red == b.red && a.green == b.green && a.blue == b.blue; }

constexpr Rgb kOrange{250, 130, 10};
constexpr Rgb kNight{5, 6, 20};

// Pixels that are exactly `colour`.
int count(const Image& image, Rgb colour) {
  int number = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) number += same(pixel_at(image, x, y), colour) ? 1 : 0;
  return number;
}

}  // namespace

TEST_CASE("a circle is filled, antialiased and round", "[image][draw]") {
  Canvas canvas(60, 80);
  canvas.fill(kNight);
  canvas.circle({40, 30}, 20, kOrange);
  const Image& image = canvas.image();
  CHECK(image.height == 60);
  CHECK(image.width == 80);
  CHECK(same(pixel_at(image, 40, 30), kOrange));
  CHECK(same(pixel_at(image, 40, 13), kOrange));
  CHECK(same(pixel_at(image, 0, 0), kNight));
  CHECK(same(pixel_at(image, 26, 14), kNight));
  const double area = 3.14159 * 20 * 20;
  CHECK(std::abs(count(image, kOrange) - area) < 0.08 * area);
  CHECK(count(image, kOrange) + count(image, kNight) < 60 * 80);  // the rim is mixed
}

TEST_CASE("polygons have their corners where they belong", "[image][draw]") {
  const Point centre{50, 50};
  for (const auto& corners : {triangle_points(centre, 30, 0.2), star_points(centre, 30, 0.2),
                              diamond_points(centre, 30, 0.2), cross_points(centre, 30, 0.2)}) {
    double farthest = 0;
    for (const Point& corner : corners)
      farthest = std::max(farthest, std::hypot(corner.x - centre.x, corner.y - centre.y));
    CHECK(farthest == Approx(30).epsilon(0.02));
    Canvas canvas(100, 100);
    canvas.polygon(corners, kOrange);
    CHECK(same(pixel_at(canvas.image(), 50, 50), kOrange));
    CHECK(same(pixel_at(canvas.image(), 50, 10), {}));
  }
  const auto rectangle = rectangle_points(centre, 20, 10, 0);
  CHECK(rectangle.front().x == 40);
  CHECK(rectangle.front().y == 45);
}

TEST_CASE("a star with gaps is not filled between its points", "[image][draw]") {
  Canvas canvas(100, 100);
  canvas.polygon(star_points({50, 50}, 40, 0), kOrange);
  CHECK(same(pixel_at(canvas.image(), 50, 20), kOrange));
  CHECK(same(pixel_at(canvas.image(), 25, 20), {}));
}

TEST_CASE("a gradient runs from top to bottom", "[image][draw]") {
  Canvas canvas(11, 4);
  canvas.gradient({0, 100, 200}, {100, 0, 200});
  CHECK(same(pixel_at(canvas.image(), 3, 0), {0, 100, 200}));
  CHECK(same(pixel_at(canvas.image(), 0, 5), {50, 50, 200}));
  CHECK(same(pixel_at(canvas.image(), 2, 10), {100, 0, 200}));
}

TEST_CASE("noise stays within its amplitude and repeats for a seed", "[image][draw]") {
  const auto noisy = [](std::uint64_t seed) {
    Canvas canvas(20, 20);
    canvas.fill({100, 2, 254});
    Random random(seed);
    canvas.add_noise(random, 7);
    return std::move(canvas).image();
  };
  const Image image = noisy(4);
  int lowest = 255;
  int highest = 0;
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 20; ++x) {
      lowest = std::min<int>(lowest, pixel_at(image, x, y).red);
      highest = std::max<int>(highest, pixel_at(image, x, y).red);
      CHECK(pixel_at(image, x, y).green <= 9);
      CHECK(pixel_at(image, x, y).blue >= 247);
    }
  }
  CHECK(lowest == 93);
  CHECK(highest == 107);
  CHECK(image.rgb == noisy(4).rgb);
  CHECK(image.rgb != noisy(5).rgb);
}
