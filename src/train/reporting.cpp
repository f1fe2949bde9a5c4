#include "capstan/train/reporting.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/base64.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/image/decode.h"
#include "capstan/report/run_report.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kJpegQuality = 85;
constexpr std::size_t kMaxSampleSteps = 200;  // newest evaluations that samples.json keeps

std::string picture_jpeg(const Cache& cache, std::int64_t image) {
  const auto side = static_cast<int>(cache.image_size());
  Image picture{.height = side, .width = side, .rgb = {}};
  picture.rgb.resize(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3);
  cache.read_pixels(image, picture.rgb.data());
  return encode_jpeg(picture, kJpegQuality);
}

Json read_samples(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json::object();
  Json json = Json::parse(read_file(path), nullptr, false);
  return json.is_object() ? json : Json::object();
}

bool wants(const TrainerConfig& config, const char* name) {
  return std::find(config.report_to.begin(), config.report_to.end(), name) != config.report_to.end();
}

}  // namespace

// What goes wrong in a report costs the report, not the run.
template <class Work>
void Reporting::guarded(Work work) {
  try {
    work();
    warned_ = false;
  } catch (const std::exception& error) {
    if (!warned_) log_warning(fmt::format("report: {}; training goes on", error.what()));
    warned_ = true;
  }
}

Reporting::Reporting(const TrainerConfig& config, fs::path run, std::int64_t steps_done)
    : run_(std::move(run)), num_images_(config.report_images), html_(wants(config, "html")) {
  if (!wants(config, "tensorboard")) return;
  guarded([&] { events_ = std::make_unique<EventWriter>(run_ / "tensorboard", steps_done); });
}

void Reporting::scalars(const std::string& group, std::int64_t step,
                        const std::vector<std::pair<std::string, double>>& values) {
  if (events_ == nullptr) return;
  for (const auto& [name, value] : values) events_->scalar(group + "/" + name, step, value);
}

void Reporting::samples(std::int64_t step, const Cache& cache, const EvaluationReport& evaluation) {
  if (num_images_ == 0 || (!html_ && events_ == nullptr)) return;
  guarded([&] {
    const fs::path path = run_ / "samples.json";
    Json json = read_samples(path);
    Json pictures = Json::array(), captions = Json::array();
    std::size_t shown = 0;
    for (std::int64_t image = 0; shown < static_cast<std::size_t>(num_images_) && shown < evaluation.captions.size();
         ++image) {
      if (cache.image_id(image) != evaluation.captions[shown].image_id) continue;  // one without reference
      const CaptionScore& caption = evaluation.captions[shown];
      const std::string jpeg = picture_jpeg(cache, image);
      if (events_ != nullptr) {
        const auto side = static_cast<int>(cache.image_size());
        if (step == 0 || json.empty()) events_->image(fmt::format("samples/{}", shown), step, side, side, jpeg);
        events_->text(fmt::format("samples/{}", shown), step, caption.prediction);
      }
      pictures.push_back(
          {{"image_id", caption.image_id}, {"jpeg", encode_base64(jpeg)}, {"references", caption.references}});
      captions.push_back(caption.prediction);
      ++shown;
    }
    Json history = Json::array();
    if (json.contains("captions") && json.value("pictures", Json()) == pictures)
      for (const Json& entry : json["captions"])
        if (entry.value("step", std::int64_t{0}) < step) history.push_back(entry);
    while (history.size() >= kMaxSampleSteps) history.erase(history.begin());
    history.push_back({{"step", step}, {"captions", captions}});
    write_file_atomic(path, Json{{"pictures", pictures}, {"captions", history}}.dump());
  });
}

void Reporting::write_environment(const std::vector<std::pair<std::string, std::string>>& facts) {
  guarded([&] {
    Json json = Json::object();
    for (const auto& [name, value] : facts) json[name] = value;
    write_json(run_ / "environment.json", json);
  });
}

void Reporting::go_on_after(std::int64_t steps_done) {
  if (events_ != nullptr) events_->go_on_after(steps_done);
}

void Reporting::refresh() {
  if (events_ != nullptr) guarded([&] { events_->flush(); });
  if (html_) guarded([&] { write_report(run_); });
}

}  // namespace capstan
