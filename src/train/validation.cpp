#include "capstan/train/validation.h"

#include <algorithm>
#include <array>

#include "capstan/eval/evaluator.h"
#include "capstan/metrics/metric.h"
#include "capstan/models/adapters.h"
#include "capstan/train/loss.h"
#include "capstan/train/precision.h"

namespace capstan {
namespace {

constexpr const char* kMetric = "rouge";
constexpr const char* kLoss = "loss";

// Mean over all label tokens of the first `num_images` pictures, without label smoothing.
double validation_loss(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                       const Collator& collator, std::int64_t num_images, const TrainerConfig& config,
                       c10::Device device) {
  const at::NoGradGuard no_grad;
  double sum = 0;
  std::int64_t num_tokens = 0;
  for (std::int64_t first = 0; first < num_images; first += config.per_device_eval_batch_size) {
    const std::int64_t last = std::min<std::int64_t>(num_images, first + config.per_device_eval_batch_size);
    std::vector<std::int64_t> captions;
    for (std::int64_t caption = cache.first_caption(first); caption < cache.first_caption(last); ++caption)
      captions.push_back(caption);
    if (captions.empty()) continue;
    const CaptionBatch batch = collator(cache, captions);
    const Autocast autocast(device, config.bf16);
    sum += caption_loss_sum(model, processor, batch, 0, device).item<double>();
    num_tokens += batch.num_label_tokens;
  }
  return num_tokens > 0 ? sum / static_cast<double>(num_tokens) : 0;
}

}  // namespace

std::vector<std::string> validation_score_names() {
  const auto metric = metrics().find(kMetric).make({});
  metric->add("a", std::array<std::string, 1>{"a"});
  std::vector<std::string> names{kLoss};
  for (const auto& [name, value] : metric->result()) names.push_back(name);
  return names;
}

bool is_better(const std::string& name, double candidate, double best) {
  return name == kLoss ? candidate < best : candidate > best;
}

std::map<std::string, double> validate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                                       const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       const Collator& collator, const TrainerConfig& config, c10::Device device) {
  model.eval();
  const MergedAdapter merged(model);  // captions are drawn by what reads the weights themselves
  const EvaluationOptions options{.metrics = {kMetric},
                                  .batch_size = config.per_device_eval_batch_size,
                                  .max_images = config.eval_max_images,
                                  .show_progress = false};
  std::map<std::string, double> scores = evaluate(model, cache, processor, tokenizer, generation, options).scores;
  const std::int64_t num_images =
      config.eval_max_images > 0 ? std::min(config.eval_max_images, cache.num_images()) : cache.num_images();
  scores[kLoss] = validation_loss(model, cache, processor, collator, num_images, config, device);
  return scores;
}

}  // namespace capstan
