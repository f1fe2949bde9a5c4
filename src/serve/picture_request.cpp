#include "serve/picture_request.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "capstan/core/base64.h"
#include "capstan/core/strings.h"
#include "serve/http_error.h"

namespace capstan::serve {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxName = 200;   // bytes of a file name that messages repeat
constexpr std::size_t kMaxNumber = 16;  // bytes of the field `alternatives`
constexpr int kMaxParts = 16;           // of a form

const std::vector<std::string> kFields{"image", "alternatives"};

// "image/jpeg" of "Image/JPEG; q=1".
std::string media_type(const std::string& header) {
  return to_lower_ascii(trim(std::string_view(header).substr(0, header.find(';'))));
}

bool may_be_picture(const std::string& type) {
  return type.starts_with("image/") || type == "application/octet-stream";
}

HttpError unknown_field(const std::string& what, const std::string& name) {
  const std::string shown = name.substr(0, kMaxName);
  return {400,
          fmt::format("unknown {} '{}'; known: {}.{}", what, shown, join(kFields, ", "), did_you_mean(shown, kFields))};
}

int parse_alternatives(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1)
    throw HttpError(400, fmt::format("alternatives is '{}', expected a number above 0", text.substr(0, kMaxName)));
  return value;
}

// Reads a form part by part. Errors inside a callback are kept until httplib has come back from its loop.
class FormReader {
 public:
  FormReader(std::int64_t max_bytes, PictureRequest& result) : max_bytes_(max_bytes), result_(result) {}

  bool read(const httplib::ContentReader& content) {
    const bool complete = content([this](const httplib::MultipartFormData& part) { return begin(part); },
                                  [this](const char* bytes, std::size_t size) { return append(bytes, size); });
    if (error_) throw *error_;
    if (!complete) return false;
    if (!has_image_) throw HttpError(400, "the form has no field 'image'");
    if (has_alternatives_) result_.alternatives = parse_alternatives(trim(number_));
    return true;
  }

 private:
  bool fail(HttpError error) {
    error_ = std::move(error);
    return false;
  }

  bool begin(const httplib::MultipartFormData& part) {
    if (++parts_ > kMaxParts) return fail({400, fmt::format("the form has more than {} parts", kMaxParts)});
    is_image_ = part.name == "image";
    if (!is_image_ && part.name != "alternatives") return fail(unknown_field("field", part.name));
    bool& seen = is_image_ ? has_image_ : has_alternatives_;
    if (seen) return fail({400, fmt::format("the form has '{}' twice; send one picture in a request", part.name)});
    seen = true;
    if (!is_image_) return true;
    if (!part.filename.empty()) result_.name = part.filename.substr(0, kMaxName);
    const std::string type = media_type(part.content_type);
    if (type.empty() || may_be_picture(type)) return true;
    return fail({415, fmt::format("the field 'image' is of type {}, expected image/jpeg, image/png or another picture",
                                  type.substr(0, kMaxName))});
  }

  bool append(const char* bytes, std::size_t size) {
    std::string& target = is_image_ ? result_.bytes : number_;
    if (!is_image_ && number_.size() + size > kMaxNumber) return fail({400, "alternatives is no number"});
    total_ += static_cast<std::int64_t>(size);
    if (total_ > max_bytes_) return fail(request_too_large(max_bytes_));
    target.append(bytes, size);
    return true;
  }

  std::int64_t max_bytes_;
  PictureRequest& result_;
  std::optional<HttpError> error_;
  std::string number_;
  std::int64_t total_ = 0;
  int parts_ = 0;
  bool is_image_ = false;
  bool has_image_ = false;
  bool has_alternatives_ = false;
};

// The whole body, at most `max_bytes` of it.
bool read_body(const httplib::ContentReader& content, std::int64_t max_bytes, std::string& body) {
  bool too_large = false;
  const bool complete = content([&](const char* bytes, std::size_t size) {
    too_large = static_cast<std::int64_t>(body.size() + size) > max_bytes;
    if (!too_large) body.append(bytes, size);
    return !too_large;
  });
  if (too_large) throw request_too_large(max_bytes);
  return complete;
}

// Refuses while parsing what the finished document could not be, so that a body cannot become a huge tree.
bool keep_flat(int depth, json::parse_event_t event, json& value) {
  if (event == json::parse_event_t::array_start || (event == json::parse_event_t::object_start && depth > 0))
    throw HttpError(400, "the JSON holds a list or an object; expected {\"image\": \"<base64>\"}");
  if (event == json::parse_event_t::key) {
    const auto& name = value.get_ref<const std::string&>();
    if (name != "image" && name != "alternatives") throw unknown_field("key", name);
  }
  return true;
}

void read_json_request(const std::string& body, PictureRequest& result) {
  json document;
  try {
    document = json::parse(body, keep_flat);
  } catch (const json::exception& error) {
    throw HttpError(400, fmt::format("the body is no JSON: {}", error.what()));
  }
  if (!document.is_object()) throw HttpError(400, "the JSON is no object; expected {\"image\": \"<base64>\"}");
  const auto image = document.find("image");
  if (image == document.end() || !image->is_string())
    throw HttpError(400, "the JSON has no text under 'image'; expected {\"image\": \"<base64>\"}");
  std::string_view text = image->get_ref<const std::string&>();
  // What FileReader.readAsDataURL gives in a browser.
  constexpr std::string_view kMark = ";base64,";
  if (const auto mark = text.substr(0, 100).find(kMark); text.starts_with("data:") && mark != text.npos)
    text.remove_prefix(mark + kMark.size());
  auto bytes = decode_base64(text);
  if (!bytes) throw HttpError(400, "'image' is not base64");
  result.bytes = std::move(*bytes);
  if (const auto number = document.find("alternatives"); number != document.end())
    result.alternatives = parse_alternatives(number->dump());
}

}  // namespace

HttpError request_too_large(std::int64_t max_bytes) {
  return {413, fmt::format("the request is larger than {}", human_bytes(static_cast<std::uint64_t>(max_bytes)))};
}

BodyKind body_kind(const httplib::Request& request) {
  const std::string encoding = to_lower_ascii(request.get_header_value("Content-Encoding"));
  if (!encoding.empty() && encoding != "identity")
    throw HttpError(415, fmt::format("Content-Encoding is '{}'; send the body as it is", encoding.substr(0, kMaxName)));
  const std::string type = media_type(request.get_header_value("Content-Type"));
  // In httplib's words, because its reader follows them.
  if (request.is_multipart_form_data()) return BodyKind::kMultipart;
  if (type == "application/json") return BodyKind::kJson;
  if (may_be_picture(type)) return BodyKind::kPicture;
  throw HttpError(415, fmt::format("Content-Type is '{}'; expected multipart/form-data, application/json, image/jpeg, "
                                   "image/png or another picture",
                                   type.substr(0, kMaxName)));
}

bool read_picture_request(const httplib::Request& request, const httplib::ContentReader& content,
                          std::int64_t max_bytes, int max_alternatives, PictureRequest& result) {
  if (request.has_param("alternatives"))
    result.alternatives = parse_alternatives(request.get_param_value("alternatives"));
  const BodyKind kind = body_kind(request);
  if (kind == BodyKind::kMultipart) {
    if (!FormReader(max_bytes, result).read(content)) return false;
  } else if (kind == BodyKind::kPicture) {
    if (!read_body(content, max_bytes, result.bytes)) return false;
  } else {
    std::string body;
    if (!read_body(content, max_bytes, body)) return false;
    read_json_request(body, result);
  }
  if (result.bytes.empty()) throw HttpError(400, "the picture is empty");
  if (result.alternatives > max_alternatives)
    throw HttpError(400, fmt::format("alternatives is {}; this server draws {} of each picture (start it with "
                                     "alternatives={} for more)",
                                     result.alternatives, max_alternatives, result.alternatives));
  return true;
}

}  // namespace capstan::serve
