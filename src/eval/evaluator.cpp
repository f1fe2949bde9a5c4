#include "capstan/eval/evaluator.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/progress.h"
#include "capstan/core/strings.h"
#include "capstan/generate/generator.h"

namespace capstan {
namespace {

// Pictures [first, last) of the cache: uint8 [B, H, W, 3].
at::Tensor read_batch(const Cache& cache, const std::vector<std::int64_t>& images) {
  const std::int64_t size = cache.image_size();
  at::Tensor pixels_BHWC = at::empty({static_cast<std::int64_t>(images.size()), size, size, 3}, at::kByte);
  auto* out = pixels_BHWC.mutable_data_ptr<std::uint8_t>();
  for (const std::int64_t image : images) {
    cache.read_pixels(image, out);
    out += size * size * 3;
  }
  return pixels_BHWC;
}

class Scorer {
 public:
  explicit Scorer(const EvaluationOptions& options) {
    for (const std::string& name : options.metrics) metrics_.push_back(metrics().find(name).make(options.metric));
  }
  void add(CaptionScore& caption) {
    for (const auto& metric : metrics_) {
      metric->add(caption.prediction, caption.references);
      caption.scores.merge(metric->last());
    }
  }
  std::map<std::string, double> result() const {
    std::map<std::string, double> scores;
    for (const auto& metric : metrics_) scores.merge(metric->result());
    return scores;
  }

 private:
  std::vector<std::unique_ptr<Metric>> metrics_;
};

CaptionScore score_caption(const Cache& cache, std::int64_t image, std::string prediction, Scorer& scorer) {
  CaptionScore caption{.image_id = cache.image_id(image),
                       .file = cache.image_file(image),
                       .prediction = std::move(prediction),
                       .references = cache.captions_of(image),
                       .scores = {}};
  scorer.add(caption);
  return caption;
}

}  // namespace

std::vector<std::int64_t> scored_images(const Cache& cache, std::int64_t max_images) {
  const std::int64_t count = max_images > 0 ? std::min(max_images, cache.num_images()) : cache.num_images();
  std::vector<std::int64_t> images;
  for (std::int64_t image = 0; image < count; ++image)
    if (cache.first_caption(image + 1) > cache.first_caption(image)) images.push_back(image);
  const auto left_out = count - static_cast<std::int64_t>(images.size());
  if (left_out > 0) log_warning(fmt::format("{} pictures have no reference caption and are not scored", left_out));
  return images;
}

std::vector<std::string> draw_captions(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                                       const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       const EvaluationOptions& options, const std::vector<std::int64_t>& images) {
  const at::NoGradGuard no_grad;
  model.eval();
  const c10::Device device = model.parameters().front().device();
  const auto total = static_cast<std::int64_t>(images.size());
  std::optional<Progress> progress;
  if (options.show_progress) progress.emplace("evaluate", total, "images");
  EngineOptions engine;
  engine.dtype = dtype_name(model.parameters().front().scalar_type());
  engine.max_rows = options.batch_size * generation.texts_per_picture();
  // Owned by the caller, who waits.
  Generator generator(model, generation, {std::shared_ptr<const Tokenizer>(), &tokenizer}, engine);
  std::vector<std::string> captions;
  for (std::int64_t first = 0; first < total; first += options.batch_size) {
    const std::int64_t last = std::min(total, first + options.batch_size);
    const std::vector<std::int64_t> batch(images.begin() + first, images.begin() + last);
    const at::Tensor pixels_BCHW = processor.normalize(read_batch(cache, batch).to(device));
    for (const auto& candidates : generate_candidates(generator, pixels_BCHW))
      captions.emplace_back(trim(tokenizer.decode(candidates.front().ids)));
    if (progress) progress->advance(last - first);
  }
  return captions;
}

EvaluationReport score_captions(const Cache& cache, const std::vector<std::int64_t>& images,
                                std::vector<std::string> captions, const EvaluationOptions& options) {
  CAPSTAN_ASSERT(images.size() == captions.size());
  Scorer scorer(options);
  EvaluationReport report{.num_images = static_cast<std::int64_t>(images.size())};
  for (std::size_t i = 0; i < images.size(); ++i)
    report.captions.push_back(score_caption(cache, images[i], std::move(captions[i]), scorer));
  report.scores = scorer.result();
  return report;
}

EvaluationReport evaluate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                          const Tokenizer& tokenizer, const GenerationConfig& generation,
                          const EvaluationOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::int64_t> images = scored_images(cache, options.max_images);
  if (images.empty()) throw DataError("the split holds no picture with a reference caption: nothing to evaluate");
  EvaluationReport report = score_captions(
      cache, images, draw_captions(model, cache, processor, tokenizer, generation, options, images), options);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace capstan
