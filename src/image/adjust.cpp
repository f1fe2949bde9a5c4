// Pillow's arithmetic on samples. Where a sample's new level depends on nothing but the old one, a table is made.
#include "capstan/image/adjust.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::size_t kChannels = 3;
using Table = std::array<std::uint8_t, 256>;
using Tables = std::array<Table, kChannels>;

std::size_t row_size(const Image& image) { return static_cast<std::size_t>(image.width) * kChannels; }

void look_up(Image& image, const Table& table) {
  for (auto& sample : image.rgb) sample = table[sample];
}

void look_up(Image& image, const Tables& tables) {
  std::uint8_t* const end = image.rgb.data() + image.rgb.size();
  for (std::uint8_t* pixel = image.rgb.data(); pixel != end; pixel += kChannels)
    for (std::size_t c = 0; c < kChannels; ++c) pixel[c] = tables[c][pixel[c]];
}

// Image.blend: from `plain` towards `sample` and beyond.
std::uint8_t blend(int plain, int sample, float factor) {
  float level = static_cast<float>(plain) + factor * static_cast<float>(sample - plain);
  level = level > 0.0F ? level : 0.0F;
  level = level < 255.0F ? level : 255.0F;
  return static_cast<std::uint8_t>(level);
}

void blend_row(const std::uint8_t* plain, std::uint8_t* samples, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) samples[i] = blend(plain[i], samples[i], factor);
}

Table blend_table(int plain, double factor) {
  Table table{};
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = blend(plain, i, static_cast<float>(factor));
  return table;
}

// Luma of ITU-R 601 in 16-bit fractions.
std::uint8_t grey(const std::uint8_t* pixel) {
  return static_cast<std::uint8_t>((pixel[0] * 19595U + pixel[1] * 38470U + pixel[2] * 7471U + 0x8000U) >> 16);
}

using Histogram = std::array<std::int64_t, 256>;

std::array<Histogram, kChannels> histograms(const Image& image) {
  std::array<Histogram, kChannels> counts{};
  const std::uint8_t* const end = image.rgb.data() + image.rgb.size();
  for (const std::uint8_t* pixel = image.rgb.data(); pixel != end; pixel += kChannels)
    for (std::size_t c = 0; c < kChannels; ++c) ++counts[c][pixel[c]];
  return counts;
}

Table identity_table() {
  Table table{};
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::uint8_t>(i);
  return table;
}

// The levels from the lowest to the highest that occur, spread over all.
Table stretch_table(const Histogram& counts) {
  const auto occurs = [](std::int64_t count) { return count != 0; };
  const auto low = std::find_if(counts.begin(), counts.end(), occurs) - counts.begin();
  const auto high = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), occurs) - 1;
  if (high <= low) return identity_table();
  const double scale = 255.0 / static_cast<double>(high - low);
  const double offset = static_cast<double>(-low) * scale;
  Table table{};
  for (int i = 0; i < 256; ++i)
    table[static_cast<std::size_t>(i)] =
        static_cast<std::uint8_t>(std::clamp(static_cast<int>(i * scale + offset), 0, 255));
  return table;
}

// Every level goes where as many pixels lie below it as in a flat histogram. The brightest level does not count.
Table flatten_table(const Histogram& counts) {
  std::int64_t total = 0;
  std::int64_t brightest = 0;
  for (const auto count : counts) {
    total += count;
    if (count != 0) brightest = count;
  }
  const std::int64_t step = (total - brightest) / 255;
  if (step == 0) return identity_table();
  Table table{};
  std::int64_t below = step / 2;
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::uint8_t>(std::min<std::int64_t>(below / step, 255));
    below += counts[i];
  }
  return table;
}

// 3x3 mean in which the centre counts five times: thirteenths, rounded; a thirteenth is never half way.
void smooth_row(const std::uint8_t* above, const std::uint8_t* here, const std::uint8_t* below, std::uint8_t* out,
                std::size_t count) {
  for (std::size_t i = kChannels; i + kChannels < count; ++i) {
    const unsigned sum = above[i - 3] + above[i] + above[i + 3] + here[i - 3] + here[i] * 5U + here[i + 3] +
                         below[i - 3] + below[i] + below[i + 3];
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(sum * 2 + 13) / 26);
  }
}

}  // namespace

void adjust_brightness(Image& image, double factor) { look_up(image, blend_table(0, factor)); }

void adjust_contrast(Image& image, double factor) {
  std::int64_t sum = 0;
  const std::uint8_t* const end = image.rgb.data() + image.rgb.size();
  for (const std::uint8_t* pixel = image.rgb.data(); pixel != end; pixel += kChannels) sum += grey(pixel);
  const auto num_pixels = static_cast<double>(image.rgb.size() / kChannels);
  look_up(image, blend_table(static_cast<int>(static_cast<double>(sum) / num_pixels + 0.5), factor));
}

void adjust_saturation(Image& image, double factor) {
  std::vector<std::uint8_t> plain(row_size(image));
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.rgb.data() + static_cast<std::size_t>(y) * plain.size();
    for (std::size_t i = 0; i < plain.size(); i += kChannels) plain[i] = plain[i + 1] = plain[i + 2] = grey(row + i);
    blend_row(plain.data(), row, plain.size(), static_cast<float>(factor));
  }
}

void adjust_sharpness(Image& image, double factor) {
  if (image.height < 3 || image.width < 3) return;  // nothing has neighbours on all sides
  const std::size_t size = row_size(image);
  // The rows as they were, while the picture is written over.
  std::vector<std::uint8_t> above(image.rgb.begin(), image.rgb.begin() + static_cast<std::ptrdiff_t>(size));
  std::vector<std::uint8_t> here(size);
  std::vector<std::uint8_t> smooth(size);
  for (int y = 1; y + 1 < image.height; ++y) {
    std::uint8_t* row = image.rgb.data() + static_cast<std::size_t>(y) * size;
    here.assign(row, row + size);
    smooth_row(above.data(), here.data(), row + size, smooth.data(), size);
    blend_row(smooth.data() + kChannels, row + kChannels, size - 2 * kChannels, static_cast<float>(factor));
    above.swap(here);
  }
}

void posterize(Image& image, int bits) {
  CAPSTAN_ASSERT(bits >= 1 && bits <= 8);
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - bits));
  for (auto& sample : image.rgb) sample &= mask;
}

void solarize(Image& image, double threshold) {
  Table table = identity_table();
  for (auto& level : table)
    if (!(level < threshold)) level = static_cast<std::uint8_t>(255 - level);
  look_up(image, table);
}

void autocontrast(Image& image) {
  const auto counts = histograms(image);
  look_up(image, Tables{stretch_table(counts[0]), stretch_table(counts[1]), stretch_table(counts[2])});
}

void equalize(Image& image) {
  const auto counts = histograms(image);
  look_up(image, Tables{flatten_table(counts[0]), flatten_table(counts[1]), flatten_table(counts[2])});
}

}  // namespace capstan
