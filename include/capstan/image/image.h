// A decoded picture: RGB, 8 bits, rows from the top.
#pragma once
#include <cstdint>
#include <vector>

namespace capstan {

struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb;  // height * width * 3, HWC
};

}  // namespace capstan
