// Captions of a split, scored against all its references.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/data/cache.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/metrics/metric.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

struct EvaluationOptions {
  std::vector<std::string> metrics{"rouge"};
  MetricOptions metric;
  std::int64_t batch_size = 16;
  std::int64_t max_images = 0;  // 0: all
  bool show_progress = true;
};

struct CaptionScore {
  std::string image_id;
  std::string file;
  std::string prediction;
  std::vector<std::string> references;
  std::map<std::string, double> scores;
};

struct EvaluationReport {
  std::map<std::string, double> scores;  // fractions by key
  std::vector<CaptionScore> captions;
  std::int64_t num_images = 0;
  double seconds = 0;
};

// The model stays in evaluation mode and on its device.
EvaluationReport evaluate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                          const Tokenizer& tokenizer, const GenerationConfig& generation,
                          const EvaluationOptions& options);

// The parts of it, for processes that share the work. Pictures that can be scored: those with a reference, of the first
// `max_images` (0: all).
std::vector<std::int64_t> scored_images(const Cache& cache, std::int64_t max_images);
// A caption of each of `images`.
std::vector<std::string> draw_captions(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                                       const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       const EvaluationOptions& options, const std::vector<std::int64_t>& images);
// Scores of the captions of `images`.
EvaluationReport score_captions(const Cache& cache, const std::vector<std::int64_t>& images,
                                std::vector<std::string> captions, const EvaluationOptions& options);

// evaluation.json with every score and caption.
void write_evaluation(const EvaluationReport& report, const std::filesystem::path& path);
// A table of scores and `samples` captions for people.
std::string format_evaluation(const EvaluationReport& report, int samples = 5);

}  // namespace capstan
