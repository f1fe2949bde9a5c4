// Image commands of the probe that the Python tests drive:
//   decode IN_IMAGE [OUT.ppm]
//   resize IN_IMAGE HEIGHT WIDTH RESAMPLE OUT.ppm
//   fast IN_IMAGE SIZE RESAMPLE OUT.ppm      decoded by DCT scaling, then resized
//   process PROCESSOR_DIR IN_IMAGE OUT.f32
//   resave PROCESSOR_DIR OUT_DIR
//   images     many of these: one on each line of standard input, its words separated by tabs;
//              answers with one line each: seconds, highest memory of the process meanwhile in KiB, and
//              "ok WIDTHxHEIGHT" or the error, separated by tabs
#include <chrono>
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
  if (command == "fast" && words.size() == 5) {
    const int size = std::stoi(words[2]);
    const auto resample = static_cast<capstan::Resample>(std::stoi(words[3]));
    const Image decoded = capstan::read_image(words[1], {.jpeg = "fast"}, {.height = size, .width = size});
    Image image = capstan::resize(decoded, size, size, resample);
    write_ppm(image, words[4]);
    return image;
  }
  if (command == "resave" && words.size() == 3) {
    capstan::ImageProcessor::from_pretrained(words[1]).save_pretrained(words[2]);
    return Image{};
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

// Makes the kernel forget the highest memory so far; where it may not, the figure is that of all files before, too.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::string peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::to_string(std::stoll(line.substr(6)));
  return "0";
}

int carry_out_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    const Words words = capstan::split(line, '\t');
    std::string answer;
    forget_peak();
    const auto start = std::chrono::steady_clock::now();
    try {
      const auto image = carry_out(words);
      if (!image) return 2;
      answer = "ok " + std::to_string(image->width) + "x" + std::to_string(image->height);
    } catch (const capstan::Error& error) {
      answer = error.what();
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::cout << taken.count() << "\t" << peak_kib() << "\t" << answer << "\n";
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
