// Picture operations of the probe, for comparison with Pillow:
//   transforms      many of these: one on each line of standard input, its words separated by tabs;
//                   answers with one line each, "ok" or the error
//     OPERATION MAGNITUDE IN_IMAGE OUT.ppm      an operation of RandAugment, or of kOthers below
//   magnitudes HEIGHT WIDTH NUM_BINS            every operation with its magnitudes
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "capstan/core/strings.h"
#include "capstan/image/adjust.h"
#include "capstan/image/decode.h"
#include "capstan/image/geometry.h"
#include "capstan/image/rand_augment.h"
#include "support/probe_commands.h"

namespace {

using capstan::Image;

struct Operation {
  const char* name;
  Image (*apply)(Image image, double magnitude);
};

template <void (*Adjust)(Image&, double)>
Image adjusted(Image image, double magnitude) {
  Adjust(image, magnitude);
  return image;
}

Image flipped(Image image, double) {
  capstan::flip_horizontal(image);
  return image;
}

// These take the factor itself, as torchvision's functional.adjust_... do.
constexpr Operation kOthers[] = {{"brightness", adjusted<capstan::adjust_brightness>},
                                 {"contrast", adjusted<capstan::adjust_contrast>},
                                 {"saturation", adjusted<capstan::adjust_saturation>},
                                 {"sharpness", adjusted<capstan::adjust_sharpness>},
                                 {"hue", adjusted<capstan::adjust_hue>},
                                 {"flip", flipped}};

Image carry_out(const std::string& name, double magnitude, Image image) {
  for (const auto& operation : capstan::rand_augment_operations())
    if (operation.name == name) return operation.apply(std::move(image), magnitude);
  for (const auto& operation : kOthers)
    if (operation.name == name) return operation.apply(std::move(image), magnitude);
  throw std::invalid_argument("no operation is called " + name);
}

int carry_out_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const auto words = capstan::split(line, '\t');
      const Image image = carry_out(words.at(0), std::stod(words.at(1)), capstan::read_image(words.at(2)));
      std::ofstream file(words.at(3), std::ios::binary);
      file << "P6\n" << image.width << " " << image.height << "\n255\n";
      file.write(reinterpret_cast<const char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
      std::cout << "ok\n";
    } catch (const std::exception& error) {
      std::cout << error.what() << "\n";
    }
  }
  return 0;
}

int print_magnitudes(int height, int width, int num_bins) {
  std::cout.precision(17);
  for (const auto& operation : capstan::rand_augment_operations()) {
    std::cout << operation.name << " " << operation.is_signed;
    for (int i = 0; i < num_bins; ++i) std::cout << " " << operation.magnitude(i, num_bins, height, width);
    std::cout << "\n";
  }
  return 0;
}

}  // namespace

// Exit code, or -1 when argv[1] is none of these commands.
int probe_transform(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words == std::vector<std::string>{"transforms"}) return carry_out_lines();
  if (words.size() == 4 && words[0] == "magnitudes")
    return print_magnitudes(std::stoi(words[1]), std::stoi(words[2]), std::stoi(words[3]));
  return -1;
}
