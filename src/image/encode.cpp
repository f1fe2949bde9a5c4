// Pictures to the bytes of a file; OpenCV does it.
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/image/decode.h"
#include "capstan/image/draw.h"

namespace capstan {
namespace {

// `format` is JPEG or PNG; `options` are OpenCV's numbers for it.
std::string encode(const Image& image, const std::string& format, const std::vector<int>& options) {
  const cv::Mat rgb(image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.rgb.data()));
  cv::Mat samples;
  cv::cvtColor(rgb, samples, cv::COLOR_RGB2BGR);
  std::vector<std::uint8_t> encoded;
  if (!cv::imencode("." + format, samples, encoded, options))
    throw DataError("OpenCV could not encode a picture as " + format + ".");
  return {encoded.begin(), encoded.end()};
}

}  // namespace

std::string encode_jpeg(const Image& image, int quality) {
  CAPSTAN_ASSERT(quality >= 1 && quality <= 100 && image.height > 0 && image.width > 0);
  return encode(image, "JPEG", {cv::IMWRITE_JPEG_QUALITY, quality, cv::IMWRITE_JPEG_OPTIMIZE, 1});
}

std::string encode_png(const Image& image) { return encode(image, "PNG", {}); }

}  // namespace capstan
