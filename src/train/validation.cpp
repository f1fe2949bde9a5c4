#include "capstan/train/validation.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/metrics/metric.h"
#include "capstan/models/adapters.h"
#include "capstan/train/loss.h"
#include "capstan/train/precision.h"

namespace capstan {
namespace {

constexpr const char* kMetric = "rouge";
constexpr const char* kLoss = "loss";

// Mean over all label tokens of `images`, without label smoothing; every process takes its turns of batches.
double validation_loss(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                       const Collator& collator, const std::vector<std::int64_t>& images, const TrainerConfig& config,
                       c10::Device device, const World& world) {
  const at::NoGradGuard no_grad;
  double sum = 0, num_tokens = 0;
  const auto batch_size = static_cast<std::size_t>(config.per_device_eval_batch_size);
  for (std::size_t first = 0, turn = 0; first < images.size(); first += batch_size, ++turn) {
    if (turn % static_cast<std::size_t>(world.size()) != static_cast<std::size_t>(world.rank())) continue;
    std::vector<Sample> samples;
    for (std::size_t i = first; i < std::min(images.size(), first + batch_size); ++i) {
      Sample& sample = samples.emplace_back(Sample{.image = images[i]});
      for (std::int64_t caption = cache.first_caption(images[i]); caption < cache.first_caption(images[i] + 1);
           ++caption)
        sample.captions.push_back(caption);
    }
    const CaptionBatch batch = collator(cache, samples);
    const Autocast autocast(device, config);
    sum += caption_loss(model, processor, batch, {}, device).item<double>();
    num_tokens += static_cast<double>(batch.num_label_tokens);
  }
  at::Tensor sums = at::tensor({sum, num_tokens}, at::kDouble);
  world.all_reduce_sum(sums, "the validation loss");
  return sums[1].item<double>() > 0 ? (sums[0] / sums[1]).item<double>() : 0;
}

// Captions of all `images`, each drawn by one process.
std::vector<std::string> shared_captions(VisionEncoderDecoder& model, const Cache& cache,
                                         const ImageProcessor& processor, const Tokenizer& tokenizer,
                                         const GenerationConfig& generation, const EvaluationOptions& options,
                                         const std::vector<std::int64_t>& images, const World& world) {
  std::vector<std::int64_t> mine;
  for (auto i = static_cast<std::size_t>(world.rank()); i < images.size(); i += static_cast<std::size_t>(world.size()))
    mine.push_back(images[i]);
  auto captions = draw_captions(model, cache, processor, tokenizer, generation, options, mine);
  if (world.size() == 1) return captions;
  const auto all = world.gather(nlohmann::json(captions).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                                "the captions of an evaluation");
  captions.assign(images.size(), "");
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const auto theirs = nlohmann::json::parse(all[rank]).get<std::vector<std::string>>();
    for (std::size_t i = 0; i < theirs.size(); ++i) captions[rank + i * all.size()] = theirs[i];
  }
  return captions;
}

}  // namespace

std::vector<std::string> validation_score_names() {
  const auto metric = metrics().find(kMetric).make({});
  metric->add("a", std::array<std::string, 1>{"a"});
  std::vector<std::string> names{kLoss};
  for (const auto& [name, value] : metric->result()) names.push_back(name);
  return names;
}

bool is_better(const std::string& name, double candidate, double best, double threshold) {
  return name == kLoss ? candidate < best - threshold : candidate > best + threshold;
}

EvaluationReport validate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                          const Tokenizer& tokenizer, const GenerationConfig& generation, const Collator& collator,
                          const TrainerConfig& config, c10::Device device, const World& world) {
  model.eval();
  const MergedAdapter merged(model);  // captions are drawn by what reads the weights themselves
  const EvaluationOptions options{.metrics = {kMetric},
                                  .batch_size = config.per_device_eval_batch_size,
                                  .max_images = config.eval_max_images,
                                  .show_progress = false};
  const auto images = scored_images(cache, config.eval_max_images);
  if (images.empty()) throw DataError("the validation split holds no picture with a reference caption");
  EvaluationReport report = score_captions(
      cache, images, shared_captions(model, cache, processor, tokenizer, generation, options, images, world), options);
  report.scores[kLoss] = validation_loss(model, cache, processor, collator, images, config, device, world);
  return report;
}

}  // namespace capstan
