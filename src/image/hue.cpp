// The hue of a picture, through 8-bit HSV with Pillow's rounding. Hue and saturation come from tables that hold
// Pillow's single precision results, because divisions would take most of the time.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/image/adjust.h"

namespace capstan {
namespace {

constexpr std::size_t kLevels = 256;

// Which channel is the largest and which the smallest; the first in the order red, green, blue wins.
enum Sector { kRedOverGreen, kRedOverBlue, kGreenOverRed, kGreenOverBlue, kBlueOverRed, kBlueOverGreen, kNumSectors };

// Hue of a colour whose middle channel lies `middle` of the spread below the largest.
std::uint8_t hue_level(Sector sector, float middle) {
  float hue = 0;
  switch (sector) {
    case kRedOverGreen:
      hue = middle - 1.0F;
      break;
    case kRedOverBlue:
      hue = 1.0F - middle;
      break;
    case kGreenOverRed:
      hue = static_cast<float>(3.0 - middle);
      break;
    case kGreenOverBlue:
      hue = static_cast<float>(2.0 + middle - 1.0);
      break;
    case kBlueOverRed:
      hue = static_cast<float>(4.0 + middle - 1.0);
      break;
    case kBlueOverGreen:
      hue = static_cast<float>(5.0 - middle);
      break;
    case kNumSectors:
      break;
  }
  hue = static_cast<float>(std::fmod(hue / 6.0 + 1.0, 1.0));
  return static_cast<std::uint8_t>(std::clamp(static_cast<int>(hue * 255.0), 0, 255));
}

struct HsvTables {
  std::vector<std::uint8_t> hue;         // [sector][spread][distance of the middle channel from the largest]
  std::vector<std::uint8_t> saturation;  // [largest][spread]
  std::array<float, kLevels> share{};    // saturation as 0..1
  std::array<float, kLevels> part{};     // how far a hue lies within its sixth of the circle
  std::array<std::uint8_t, kLevels> sixth{};

  HsvTables() : hue(kNumSectors * kLevels * kLevels), saturation(kLevels * kLevels) {
    for (std::size_t spread = 1; spread < kLevels; ++spread) {
      for (std::size_t below = 0; below <= spread; ++below)
        for (std::size_t sector = 0; sector < kNumSectors; ++sector)
          hue[(sector * kLevels + spread) * kLevels + below] =
              hue_level(static_cast<Sector>(sector), static_cast<float>(below) / static_cast<float>(spread));
      for (std::size_t largest = spread; largest < kLevels; ++largest) {
        const float of_largest = static_cast<float>(spread) / static_cast<float>(largest);
        saturation[largest * kLevels + spread] = static_cast<std::uint8_t>(static_cast<int>(of_largest * 255.0));
      }
    }
    for (std::size_t level = 0; level < kLevels; ++level) {
      const double sixths = static_cast<double>(level) * 6.0 / 255.0;
      sixth[level] = static_cast<std::uint8_t>(static_cast<int>(sixths) % 6);
      part[level] = static_cast<float>(sixths - std::floor(sixths));
      share[level] = static_cast<float>(static_cast<double>(level) / 255.0);
    }
  }
};

const HsvTables& hsv_tables() {
  static const HsvTables tables;
  return tables;
}

std::uint8_t rounded(double level) { return static_cast<std::uint8_t>(static_cast<int>(level + 0.5)); }

// Which of largest, middle and smallest the red, green and blue of each sixth are.
constexpr std::array<std::array<std::uint8_t, 3>, 6> kOrder{
    {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}}};

void turn(std::uint8_t* pixel, std::uint8_t shift, const HsvTables& tables) {
  const int red = pixel[0];
  const int green = pixel[1];
  const int blue = pixel[2];
  const int largest = std::max(red, std::max(green, blue));
  const int smallest = std::min(red, std::min(green, blue));
  const int spread = largest - smallest;
  const int saturation =
      tables.saturation[static_cast<std::size_t>(largest) * kLevels + static_cast<std::size_t>(spread)];
  if (saturation == 0) {
    pixel[0] = pixel[1] = pixel[2] = static_cast<std::uint8_t>(largest);
    return;
  }
  const int sector = red == largest     ? (green == smallest ? kRedOverGreen : kRedOverBlue)
                     : green == largest ? (red == smallest ? kGreenOverRed : kGreenOverBlue)
                                        : (red == smallest ? kBlueOverRed : kBlueOverGreen);
  const int below = largest - (red + green + blue - largest - smallest);
  const std::uint8_t old = tables.hue[static_cast<std::size_t>((sector * 256 + spread) * 256 + below)];
  const std::uint8_t hue = static_cast<std::uint8_t>(old + shift);

  const float share = tables.share[static_cast<std::size_t>(saturation)];
  const float part = tables.part[hue];
  const unsigned sixth = tables.sixth[hue];
  const double value = largest;
  const float falling = share * part;
  const double rising = share * (1.0 - part);
  const double middle = (sixth & 1U) != 0 ? static_cast<double>(falling) : rising;
  const std::array<std::uint8_t, 3> levels{static_cast<std::uint8_t>(largest), rounded(value * (1.0 - middle)),
                                           rounded(value * (1.0 - share))};
  for (std::size_t c = 0; c < 3; ++c) pixel[c] = levels[kOrder[sixth][c]];
}

}  // namespace

void adjust_hue(Image& image, double shift) {
  CAPSTAN_ASSERT(shift >= -0.5 && shift <= 0.5);
  const auto levels = static_cast<std::uint8_t>(static_cast<int>(shift * 255));
  const HsvTables& tables = hsv_tables();
  std::uint8_t* const end = image.rgb.data() + image.rgb.size();
  for (std::uint8_t* pixel = image.rgb.data(); pixel != end; pixel += 3) turn(pixel, levels, tables);
}

}  // namespace capstan
