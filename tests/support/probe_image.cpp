// Image commands of the probe that the Python tests drive:
//   decode IN_IMAGE [OUT.ppm]
//   resize IN_IMAGE HEIGHT WIDTH RESAMPLE OUT.ppm
//   process PROCESSOR_DIR IN_IMAGE OUT.f32
//   images     many of these: one on each line of standard input, its words separated by tabs;
//              answers with one line each, "ok WIDTHxHEIGHT" or the error
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/image/decode.h"
#include "capstan/image/processor.h"
#include "capstan/image/resize.h"
#include "support/probe_commands.h"

namespace {

using capstan::Image;
using Words = std::vector<std::string>;

void write_ppm(const Image& image, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << image.width << " " << image.height << "\n255\n";
  file.write(reinterpret_cast<const char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
}

// The picture that came out, or nothing when `words` are no command of ours.
std::optional<Image> carry_out(const Words& words) {
  const std::string command = words.empty() ? "" : words[0];
  if (command == "decode" && (words.size() == 2 || words.size() == 3)) {
    Image image = capstan::read_image(words[1]);
    if (words.size() == 3) write_ppm(image, words[2]);
    return image;
  }
  if (command == "resize" && words.size() == 6) {
    const auto resample = static_cast<capstan::Resample>(std::stoi(words[4]));
    Image image = capstan::resize(capstan::read_image(words[1]), std::stoi(words[2]), std::stoi(words[3]), resample);
    write_ppm(image, words[5]);
    return image;
  }
  if (command == "process" && words.size() == 4) {
    const auto processor = capstan::ImageProcessor::from_pretrained(words[1]);
    Image image = capstan::read_image(words[2]);
    const auto pixels = processor(image);
    std::ofstream file(words[3], std::ios::binary);
    file.write(static_cast<const char*>(pixels.data_ptr()), static_cast<std::streamsize>(pixels.nbytes()));
    return image;
  }
  return std::nullopt;
}

int carry_out_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const auto image = carry_out(capstan::split(line, '\t'));
      if (!image) return 2;
      std::cout << "ok " << image->width << "x" << image->height << "\n";
    } catch (const capstan::Error& error) {
      std::cout << error.what() << "\n";
    }
  }
  return 0;
}

}  // namespace

// Exit code, or -1 when argv[1] is none of these commands.
int probe_image(int argc, char** argv) {
  const Words words(argv + 1, argv + argc);
  if (words == Words{"images"}) return carry_out_lines();
  return carry_out(words) ? 0 : -1;
}
