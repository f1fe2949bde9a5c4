#include "capstan/core/files.h"
#include "capstan/image/decode.h"
#include "capstan/image/draw.h"
#include "capstan/image/processor.h"
#include "fuzz/fuzz.h"
#include "support/source_dir.h"

namespace capstan::fuzz {
namespace {

constexpr std::uint64_t kMaxSeedBytes = 20'000;  // larger ones take long to decode and teach nothing more

Image drawing() {
  Canvas canvas(40, 56);
  canvas.gradient({20, 80, 160}, {240, 200, 40});
  canvas.circle({28, 20}, 12, {200, 30, 30});
  return std::move(canvas).image();
}

}  // namespace

std::vector<Target> picture_targets(const fs::path&) {
  std::vector<std::string> seeds{encode_jpeg(drawing(), 90), encode_png(drawing())};
  for (const auto& entry : fs::directory_iterator(testing::source_dir() / "tests/fixtures/images"))
    if (entry.is_regular_file() && entry.file_size() <= kMaxSeedBytes) seeds.push_back(read_file(entry.path()));
  const auto open = [](const std::string& bytes) {
    const DecodeOptions options{.max_pixels = 4'000'000};
    ImageProcessorConfig config;
    config.size = 32;
    ImageProcessor(config).resize(decode_image(std::as_bytes(std::span(bytes)), "input", options));
  };
  std::erase_if(seeds, [&](const std::string& bytes) {
    try {
      open(bytes);
      return false;
    } catch (const std::exception&) {
      return true;  // some fixtures are there to be refused
    }
  });
  return {{"picture", std::move(seeds), open}};
}

}  // namespace capstan::fuzz
