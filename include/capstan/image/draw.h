// Drawing simple pictures: what the built-in scenes are made of. OpenCV stays behind it.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capstan/core/random.h"
#include "capstan/image/image.h"

namespace capstan {

struct Rgb {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

// In pixels; (0, 0) is the centre of the first pixel, y grows downwards.
struct Point {
  double x = 0;
  double y = 0;
};

// Corners around `centre`, turned clockwise by `turn` radians. `radius` is the distance of the farthest corner.
std::vector<Point> rectangle_points(Point centre, double width, double height, double turn);
std::vector<Point> triangle_points(Point centre, double radius, double turn);  // equilateral, one corner up
std::vector<Point> star_points(Point centre, double radius, double turn);      // five points, one up
std::vector<Point> diamond_points(Point centre, double radius, double turn);   // higher than wide
std::vector<Point> cross_points(Point centre, double radius, double turn);     // a plus sign

// Canvas canvas(96, 96);
// canvas.gradient({20, 20, 20}, {200, 200, 200});
// canvas.circle({48, 48}, 20, {255, 0, 0});
// const Image picture = std::move(canvas).image();
class Canvas {
 public:
  Canvas(int height, int width);  // black
  void fill(Rgb colour);
  void gradient(Rgb top, Rgb bottom);
  void circle(Point centre, double radius, Rgb colour);      // edges are antialiased
  void polygon(std::span<const Point> corners, Rgb colour);  // of any shape; edges are antialiased
  void add_noise(Random& random, int amplitude);             // each sample moves by -amplitude..amplitude (at most 127)
  void paste(const Image& picture, int top, int left);       // what lies outside is cut off
  // One line of ASCII from `left`, letters `height` pixels high standing on `bottom`; other characters become "?".
  void text(const std::string& line, double left, double bottom, double height, Rgb colour);
  static double text_width(const std::string& line, double height);
  const Image& image() const& { return image_; }
  Image image() && { return std::move(image_); }

 private:
  Image image_;
};

std::string encode_png(const Image& image);

}  // namespace capstan
