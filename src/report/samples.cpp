#include "report/samples.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"

namespace capstan::report {
namespace {

using Json = nlohmann::json;

const Json& field(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> texts_of(const Json& values) {
  std::vector<std::string> texts;
  if (values.is_array())
    for (const Json& value : values) texts.push_back(text_of(value));
  return texts;
}

// The bytes go into an attribute of the page as they are, so nothing but base64 of a JPEG may pass.
bool is_jpeg_base64(const std::string& text) {
  return text.starts_with("/9j/") && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
                  c == '=';
         });
}

}  // namespace

void read_samples(RunData& run) {
  const fs::path path = run.path / "samples.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  const Json root = Json::parse(read_file(path, 256 << 20), nullptr, false);
  if (!root.is_object()) throw DataError("samples.json: is no JSON object");
  for (const Json& entry : field(root, "pictures")) {
    SamplePicture picture{text_of(field(entry, "image_id")), text_of(field(entry, "jpeg")),
                          texts_of(field(entry, "references"))};
    if (!is_jpeg_base64(picture.base64)) picture.base64.clear();
    run.pictures.push_back(std::move(picture));
  }
  for (const Json& entry : field(root, "captions")) {
    const Json& step = field(entry, "step");
    if (step.is_number()) run.captions.push_back({step.get<std::int64_t>(), texts_of(field(entry, "captions"))});
  }
  std::stable_sort(run.captions.begin(), run.captions.end(),
                   [](const SampleCaptions& a, const SampleCaptions& b) { return a.step < b.step; });
}

std::vector<CaptionSpan> captions_of(const RunData& run, std::size_t picture) {
  std::vector<CaptionSpan> spans;
  for (const SampleCaptions& evaluation : run.captions) {
    if (picture >= evaluation.captions.size()) continue;
    const std::string& text = evaluation.captions[picture];
    if (!spans.empty() && spans.back().text == text)
      spans.back().last_step = evaluation.step;
    else
      spans.push_back({evaluation.step, evaluation.step, text});
  }
  return spans;
}

}  // namespace capstan::report
