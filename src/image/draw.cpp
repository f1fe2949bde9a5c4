// Antialiased shapes by OpenCV, with corners in 1/16 pixels.
#include "capstan/image/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr int kSubpixelBits = 4;

// A view: OpenCV does not care which channel is red.
cv::Mat view(Image& image) { return {image.height, image.width, CV_8UC3, image.rgb.data()}; }
cv::Scalar scalar(Rgb colour) { return {double(colour.red), double(colour.green), double(colour.blue)}; }
int fixed(double pixels) { return static_cast<int>(std::lround(pixels * (1 << kSubpixelBits))); }

std::uint8_t mix(std::uint8_t from, std::uint8_t to, double part) {
  return static_cast<std::uint8_t>(std::lround(from + (to - from) * part));
}

// Turns corners given around the origin and moves them to `centre`.
std::vector<Point> placed(std::vector<Point> corners, Point centre, double turn) {
  const double cosine = std::cos(turn);
  const double sine = std::sin(turn);
  for (Point& corner : corners)
    corner = {centre.x + corner.x * cosine - corner.y * sine, centre.y + corner.x * sine + corner.y * cosine};
  return corners;
}

// `count` corners at equal angles, the first straight up, their distances taken in turn from `radii`.
std::vector<Point> around(int count, std::span<const double> radii) {
  std::vector<Point> corners;
  for (int i = 0; i < count; ++i) {
    const double angle = 2 * std::numbers::pi * i / count;
    const double radius = radii[static_cast<std::size_t>(i) % radii.size()];
    corners.push_back({radius * std::sin(angle), -radius * std::cos(angle)});
  }
  return corners;
}

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

double font_scale(double height) {
  constexpr double kCapitalHeight = 21;  // of the font at scale 1
  return height / kCapitalHeight;
}

std::string drawable(std::string line) {
  for (char& c : line)
    if (c < ' ' || c > '~') c = '?';
  return line;
}

}  // namespace

std::vector<Point> rectangle_points(Point centre, double width, double height, double turn) {
  const double x = width / 2;
  const double y = height / 2;
  return placed({{-x, -y}, {x, -y}, {x, y}, {-x, y}}, centre, turn);
}

std::vector<Point> triangle_points(Point centre, double radius, double turn) {
  return placed(around(3, std::array{radius}), centre, turn);
}

std::vector<Point> star_points(Point centre, double radius, double turn) {
  // The inner corners of a pentagram lie at (3 - sqrt(5)) / 2 of the outer radius; a little more reads better small.
  return placed(around(10, std::array{radius, 0.42 * radius}), centre, turn);
}

std::vector<Point> diamond_points(Point centre, double radius, double turn) {
  return placed(around(4, std::array{radius, 0.62 * radius}), centre, turn);
}

std::vector<Point> cross_points(Point centre, double radius, double turn) {
  const double arm = 0.95 * radius;
  const double half = 0.28 * radius;
  return placed({{-half, -arm},
                 {half, -arm},
                 {half, -half},
                 {arm, -half},
                 {arm, half},
                 {half, half},
                 {half, arm},
                 {-half, arm},
                 {-half, half},
                 {-arm, half},
                 {-arm, -half},
                 {-half, -half}},
                centre, turn);
}

Canvas::Canvas(int height, int width) {
  CAPSTAN_ASSERT(height > 0 && width > 0);
  image_ = {.height = height, .width = width, .rgb = {}};
  image_.rgb.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
}

void Canvas::fill(Rgb colour) { view(image_).setTo(scalar(colour)); }

void Canvas::gradient(Rgb top, Rgb bottom) {
  cv::Mat rows = view(image_);
  for (int y = 0; y < image_.height; ++y) {
    const double part = image_.height > 1 ? static_cast<double>(y) / (image_.height - 1) : 0;
    rows.row(y).setTo(
        scalar({mix(top.red, bottom.red, part), mix(top.green, bottom.green, part), mix(top.blue, bottom.blue, part)}));
  }
}

void Canvas::circle(Point centre, double radius, Rgb colour) {
  cv::Mat pixels = view(image_);
  cv::circle(pixels, {fixed(centre.x), fixed(centre.y)}, fixed(radius), scalar(colour), cv::FILLED, cv::LINE_AA,
             kSubpixelBits);
}

void Canvas::polygon(std::span<const Point> corners, Rgb colour) {
  std::vector<cv::Point> rounded;
  for (const Point& corner : corners) rounded.emplace_back(fixed(corner.x), fixed(corner.y));
  cv::Mat pixels = view(image_);
  cv::fillPoly(pixels, std::vector<std::vector<cv::Point>>{rounded}, scalar(colour), cv::LINE_AA, kSubpixelBits);
}

void Canvas::add_noise(Random& random, int amplitude) {
  CAPSTAN_ASSERT(amplitude >= 0 && amplitude <= 127);
  const int span = 2 * amplitude + 1;
  std::uint64_t bits = 0;
  int left = 0;
  for (std::uint8_t& sample : image_.rgb) {
    if (left == 0) {
      bits = random.next();
      left = 4;
    }
    // 16 random bits scaled to the span: the bias of 1/65536 does not matter for noise.
    const int offset = static_cast<int>(((bits & 0xFFFF) * static_cast<std::uint64_t>(span)) >> 16) - amplitude;
    bits >>= 16;
    --left;
    sample = static_cast<std::uint8_t>(std::clamp(sample + offset, 0, 255));
  }
}

void Canvas::paste(const Image& picture, int top, int left) {
  const cv::Rect place =
      cv::Rect(left, top, picture.width, picture.height) & cv::Rect(0, 0, image_.width, image_.height);
  if (place.empty()) return;
  const cv::Mat source(picture.height, picture.width, CV_8UC3, const_cast<std::uint8_t*>(picture.rgb.data()));
  source(cv::Rect(place.x - left, place.y - top, place.width, place.height)).copyTo(view(image_)(place));
}

void Canvas::text(const std::string& line, double left, double bottom, double height, Rgb colour) {
  cv::Mat pixels = view(image_);
  cv::putText(pixels, drawable(line), {static_cast<int>(left), static_cast<int>(bottom)}, kFont, font_scale(height),
              scalar(colour), 1, cv::LINE_AA);
}

double Canvas::text_width(const std::string& line, double height) {
  int baseline = 0;
  return cv::getTextSize(drawable(line), kFont, font_scale(height), 1, &baseline).width;
}

}  // namespace capstan
