// Batches per second of the training loader:
//   bench_loader CACHE SPLIT BATCH_SIZE WORKERS SECONDS
// Reads the split once from end to end to warm it up, then draws shuffled batches as the trainer does for about
// SECONDS and prints {"images", "seconds", "wait_seconds", "peak_kib", "anonymous_kib"}; memory as in
// /proc/self/status: VmHWM and RssAnon.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "capstan/data/loader.h"

namespace {

using namespace capstan;
using Clock = std::chrono::steady_clock;

// A line of /proc/self/status, in KiB.
long status_kib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return std::atol(line.c_str() + key.size() + 1);
  }
  return 0;
}

void read_everything(const Cache& cache) {
  const auto size = static_cast<std::size_t>(cache.image_size());
  std::vector<std::uint8_t> pixels(size * size * 3);
  for (std::int64_t image = 0; image < cache.num_images(); ++image) cache.read_pixels(image, pixels.data());
}

}  // namespace

int run(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: bench_loader CACHE SPLIT BATCH_SIZE WORKERS SECONDS\n", stderr);
    return 2;
  }
  const auto cache = std::make_shared<const Cache>(argv[1], argv[2]);
  read_everything(*cache);
  LoaderOptions options;
  options.batch_size = std::atoll(argv[3]);
  options.num_workers = std::atoi(argv[4]);
  Collator collator;
  collator.eos_token_id = cache->tokenizer()->eos_token_id().value_or(0);
  Loader loader(cache, std::make_shared<const Sampler>(cache, SamplerOptions{.seed = 1}), collator, options);
  for (int i = 0; i < 2 * options.prefetch; ++i) loader.next();

  const double waited_before = loader.wait_seconds();
  std::int64_t num_images = 0;
  std::int64_t check = 0;  // one pixel of each batch, so that nothing can be left out
  std::chrono::duration<double> elapsed{0};
  const auto begin = Clock::now();
  do {
    const CaptionBatch batch = loader.next();
    num_images += batch.pixels_PHWC.size(0);
    check += batch.pixels_PHWC.const_data_ptr<std::uint8_t>()[batch.pixels_PHWC.numel() - 1];
    elapsed = Clock::now() - begin;
  } while (elapsed.count() < std::atof(argv[5]));
  fmt::print(
      "{{\"images\": {}, \"seconds\": {}, \"wait_seconds\": {}, \"peak_kib\": {}, \"anonymous_kib\": {}, "
      "\"check\": {}}}\n",
      num_images, elapsed.count(), loader.wait_seconds() - waited_before, status_kib("VmHWM"), status_kib("RssAnon"),
      check);
  return 0;
}
