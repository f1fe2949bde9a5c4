// libjpeg and OpenCV turn bytes into samples; what they mean (channels, depth, transparency, orientation) is decided
// here.
#include "capstan/image/decode.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "image/gif.h"
#include "image/header.h"
#include "image/jpeg.h"
#include "image/orientation.h"

namespace capstan {
namespace {

using image_io::Bytes;
using image_io::Format;
using image_io::Header;
using image_io::HeaderError;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;

template <class Sample>
std::uint8_t to_8bit(Sample value) {
  if constexpr (sizeof(Sample) == 2) return static_cast<std::uint8_t>(value >> 8);
  return static_cast<std::uint8_t>(value);
}

std::uint8_t blend(std::uint8_t value, std::uint8_t alpha, std::uint8_t background) {
  return static_cast<std::uint8_t>((value * alpha + background * (255 - alpha) + 127) / 255);
}

// The PNG's transparent colour in the decoder's sample range (grey below 8 bits is stretched to 0..255).
std::array<std::uint32_t, 3> scaled_key(const Header& header) {
  auto key = *header.transparent;
  if (header.bit_depth < 8)
    for (auto& value : key) value = value * 255 / ((1U << header.bit_depth) - 1);
  return key;
}

Image empty_image(const cv::Mat& samples) {
  const std::size_t size = static_cast<std::size_t>(samples.rows) * static_cast<std::size_t>(samples.cols) * 3;
  return {.height = samples.rows, .width = samples.cols, .rgb = std::vector<std::uint8_t>(size)};
}

// Nearly every photo: 8-bit BGR without transparency.
Image swap_channels(const cv::Mat& samples) {
  Image image = empty_image(samples);
  cv::cvtColor(samples, cv::Mat(image.height, image.width, CV_8UC3, image.rgb.data()), cv::COLOR_BGR2RGB);
  return image;
}

// `samples` are grey, BGR or BGRA of 8 or 16 bits.
template <class Sample>
Image to_rgb(const cv::Mat& samples, const Header& header, std::uint8_t background) {
  const auto channels = static_cast<std::size_t>(samples.channels());
  const bool has_alpha = channels == 4 && header.format != Format::kBmp;  // BMP: the fourth byte is padding
  const bool has_key = channels < 4 && header.transparent.has_value();
  const auto key = has_key ? scaled_key(header) : std::array<std::uint32_t, 3>{};
  Image image = empty_image(samples);
  std::uint8_t* out = image.rgb.data();
  for (int y = 0; y < samples.rows; ++y) {
    const auto* in = samples.ptr<Sample>(y);
    for (int x = 0; x < samples.cols; ++x, in += channels, out += 3) {
      const Sample red = channels == 1 ? in[0] : in[2];
      const Sample green = channels == 1 ? in[0] : in[1];
      const Sample blue = in[0];
      out[0] = to_8bit(red);
      out[1] = to_8bit(green);
      out[2] = to_8bit(blue);
      if (has_alpha)
        for (int c = 0; c < 3; ++c) out[c] = blend(out[c], to_8bit(in[3]), background);
      if (has_key && red == key[0] && green == key[1] && blue == key[2]) out[0] = out[1] = out[2] = background;
    }
  }
  return image;
}

cv::Mat decode_samples(Bytes bytes, const Header& header) {
  [[maybe_unused]] static const auto silenced = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  std::string essentials;
  if (header.format == Format::kPng) {
    essentials = image_io::png_essentials(bytes);
    bytes = std::as_bytes(std::span(essentials));
  }
  const cv::Mat input(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<std::byte*>(bytes.data()));
  cv::Mat samples;
  try {
    samples = cv::imdecode(input, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& error) {
    throw HeaderError(fmt::format("corrupt {}: {}", format_name(header.format), error.err));
  }
  if (samples.empty())
    throw HeaderError(fmt::format("corrupt {}: the picture data cannot be decoded", format_name(header.format)));
  if (samples.rows != header.height || samples.cols != header.width)
    throw HeaderError(fmt::format("corrupt {}: {}x{} pixels came out; its header says {}x{}",
                                  format_name(header.format), samples.cols, samples.rows, header.width, header.height));
  return samples;
}

Image decode_by_opencv(Bytes bytes, const Header& header, std::uint8_t background) {
  const std::int64_t needed = header.width * header.height * (header.bytes_per_pixel + 3);
  if (needed > image_io::kMaxDecodeBytes)
    throw HeaderError(fmt::format("decoding its {}x{} pixels could take {} MiB; at most {} are used", header.width,
                                  header.height, needed >> 20, image_io::kMaxDecodeBytes >> 20));
  const cv::Mat samples = decode_samples(bytes, header);
  const int channels = samples.channels();
  if (channels != 1 && channels != 3 && channels != 4)
    throw HeaderError(fmt::format("{} with {} channels; expected 1, 3 or 4", format_name(header.format), channels));
  if (samples.type() == CV_8UC3 && !header.transparent) return swap_channels(samples);
  if (samples.depth() == CV_8U) return to_rgb<std::uint8_t>(samples, header, background);
  if (samples.depth() == CV_16U) return to_rgb<std::uint16_t>(samples, header, background);
  throw HeaderError(fmt::format("{} samples are not 8 or 16 bits", format_name(header.format)));
}

// The largest divisor of both sides that leaves no less than what is wanted.
int shrink_for(const Header& header, WantedSize wanted) {
  if (header.orientation >= 5) std::swap(wanted.height, wanted.width);
  const auto leaves_enough = [&](int shrink) {
    return (header.height + shrink - 1) / shrink >= wanted.height &&
           (header.width + shrink - 1) / shrink >= wanted.width;
  };
  for (const int shrink : {8, 4, 2})
    if (leaves_enough(shrink)) return shrink;
  return 1;
}

Image decode(Bytes bytes, const DecodeOptions& options, WantedSize wanted) {
  if (bytes.size() > kMaxFileBytes) throw HeaderError("the file is larger than 1 GiB");
  const Header header = image_io::read_header(bytes);
  if (header.width > options.max_pixels / header.height)
    throw HeaderError(fmt::format("its header says {}x{} pixels; at most {} pixels are read", header.width,
                                  header.height, options.max_pixels));
  const auto background = static_cast<std::uint8_t>(options.background);
  if (header.format == Format::kGif) return image_io::decode_gif(bytes, options.max_pixels, background);
  const bool shrinks = options.jpeg == "fast" && wanted.height > 0 && wanted.width > 0;
  Image image = header.format == Format::kJpeg
                    ? image_io::decode_jpeg(bytes, header, shrinks ? shrink_for(header, wanted) : 1)
                    : decode_by_opencv(bytes, header, background);
  return image_io::apply_orientation(std::move(image), header.orientation);
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, std::string_view name, const DecodeOptions& options,
                   WantedSize wanted) {
  try {
    return decode(bytes, options, wanted);
  } catch (const HeaderError& error) {
    throw DataError(fmt::format("{}: {}.", name, error.text()));
  }
}

Image read_image(const std::filesystem::path& path, const DecodeOptions& options, WantedSize wanted) {
  const std::string bytes = read_file(path, kMaxFileBytes);
  return decode_image(std::as_bytes(std::span(bytes)), path.string(), options, wanted);
}

}  // namespace capstan
