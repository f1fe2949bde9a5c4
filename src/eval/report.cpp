// An evaluation as JSON and as a table.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/eval/evaluator.h"

namespace capstan {

void write_evaluation(const EvaluationReport& report, const std::filesystem::path& path) {
  nlohmann::ordered_json captions = nlohmann::ordered_json::array();
  for (const CaptionScore& caption : report.captions)
    captions.push_back({{"image_id", caption.image_id},
                        {"file", caption.file},
                        {"prediction", caption.prediction},
                        {"references", caption.references},
                        {"scores", caption.scores}});
  write_json(path, {{"scores", report.scores},
                    {"num_images", report.num_images},
                    {"seconds", report.seconds},
                    {"captions", captions}});
}

std::string format_evaluation(const EvaluationReport& report, int samples) {
  const double speed = report.seconds > 0 ? static_cast<double>(report.num_images) / report.seconds : 0;
  std::string text = fmt::format("{} images in {} ({:.1f} images/s)\n\n  score        value\n", report.num_images,
                                 human_duration(report.seconds), speed);
  for (const auto& [name, value] : report.scores) text += fmt::format("  {:<10}  {:>6.4f}\n", name, value);
  int shown = 0;
  for (const CaptionScore& caption : report.captions) {
    if (shown++ == samples) break;
    text += fmt::format("\n  {}\n    predicted  {}\n", caption.file, caption.prediction);
    for (const std::string& reference : caption.references) text += fmt::format("    reference  {}\n", reference);
  }
  return text;
}

}  // namespace capstan
