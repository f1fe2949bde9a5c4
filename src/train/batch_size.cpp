#include "capstan/train/batch_size.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <string_view>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/torch_random.h"
#include "capstan/train/loss.h"
#include "capstan/train/precision.h"

namespace capstan {
namespace {

// The pictures whose captions are longest, each with as many captions as a sample may have.
std::vector<Sample> longest_samples(const Cache& cache, const TrainerConfig& config) {
  std::vector<std::int64_t> longest(static_cast<std::size_t>(cache.num_images()), 0);
  for (std::int64_t image = 0; image < cache.num_images(); ++image)
    for (std::int64_t caption = cache.first_caption(image); caption < cache.first_caption(image + 1); ++caption)
      longest[static_cast<std::size_t>(image)] =
          std::max(longest[static_cast<std::size_t>(image)], cache.num_tokens(caption));
  std::vector<std::int64_t> order(longest.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto wanted = std::min<std::size_t>(order.size(), static_cast<std::size_t>(config.per_device_train_batch_size));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      return longest[static_cast<std::size_t>(a)] > longest[static_cast<std::size_t>(b)];
                    });
  const std::int64_t together = captions_per_image(config);
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.per_device_train_batch_size); ++i) {
    Sample& sample = samples.emplace_back(Sample{.image = order[i % wanted]});
    const std::int64_t first = cache.first_caption(sample.image), all = cache.first_caption(sample.image + 1) - first;
    for (std::int64_t k = 0; k < (together == 0 ? all : std::min(all, together)); ++k)
      sample.captions.push_back(first + k);
  }
  return samples;
}

// Whether `error` says that memory ran out.
bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  return std::string_view(error.what()).find("can't allocate memory") != std::string_view::npos;  // torch on a CPU
}

bool fits(const BatchTrial& trial, const TrainerConfig& config, const std::vector<Sample>& samples) {
  Collator collator = trial.collator;
  collator.keep_pictures = true;
  try {
    const CaptionBatch batch = collator(trial.cache, samples);
    at::Tensor loss;
    {
      const Autocast autocast(trial.device, config);
      loss = caption_loss(trial.model, trial.processor, batch, {.scale = 1e-3}, trial.device);
    }
    loss.backward();
    loss.item<double>();  // waits for the device, where the memory may run out
    return true;
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    return false;
  }
}

void free_memory(const BatchTrial& trial) {
  trial.model.zero_grad(/*set_to_none=*/true);
  if (trial.device.is_cpu()) return;
  if (auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(trial.device.type())))
    allocator->emptyCache();
}

}  // namespace

void find_batch_size(const BatchTrial& trial, TrainerConfig& config) {
  const RandomState random(trial.device);
  const int wanted = config.per_device_train_batch_size;
  trial.model.train();
  for (;;) {
    const bool good = fits(trial, config, longest_samples(trial.cache, config));
    free_memory(trial);
    if (!trial.world.any(!good, "the search for a batch that fits")) break;
    if (config.per_device_train_batch_size == 1)
      throw Error(
          "auto_find_batch_size: memory runs out even with a batch of one; set gradient_checkpointing, freeze "
          "a part, or use a smaller model");
    config.per_device_train_batch_size = (config.per_device_train_batch_size + 1) / 2;
    config.gradient_accumulation_steps *= 2;
  }
  random.restore();
  if (config.per_device_train_batch_size != wanted && trial.world.is_main())
    log_info(fmt::format("auto_find_batch_size: batches of {} do not fit in memory; {} with {} accumulation steps do",
                         wanted, config.per_device_train_batch_size, config.gradient_accumulation_steps));
}

}  // namespace capstan
