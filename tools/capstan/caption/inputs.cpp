#include "caption/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "caption/glob.h"
#include "caption/names.h"
#include "caption/stdin.h"

namespace capstan::cli {
namespace {

// What the decoder of capstan/image/decode.h reads.
constexpr std::array<std::string_view, 15> kExtensions{".jpg",  ".jpeg", ".jpe", ".jfif", ".png",
                                                       ".gif",  ".webp", ".bmp", ".dib",  ".tif",
                                                       ".tiff", ".ppm",  ".pgm", ".pbm",  ".pnm"};

bool has_picture_extension(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  const std::string extension = to_lower_ascii(std::string_view(name).substr(dot));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

// One walk through the arguments. Every function returns false when no more are wanted.
class Walk {
 public:
  Walk(Stdin kind, const InputSink& sink) : kind_(kind), sink_(sink) {}

  bool argument(const std::string& text) {
    if (text == "-") return standard_input();
    if (has_wildcard(text) && !fs::exists(fs::symlink_status(text))) return pattern(text);
    return path(text);
  }

 private:
  bool path(const std::string& text) {
    std::error_code ignored;
    if (!fs::is_directory(text, ignored)) return sink_.take({.name = text, .bytes = {}, .error = {}});
    found_ = 0;
    if (!folder(text)) return false;
    if (found_ > 0) return true;
    return sink_.take({.name = text,
                       .bytes = {},
                       .error = fmt::format("{}: no picture in this folder or below; looked for *.jpg, *.png, *.webp "
                                            "and the like",
                                            text)});
  }

  bool folder(const fs::path& directory) {
    std::error_code error;
    const NameList names(directory, error);
    if (error) {
      ++found_;  // this is said instead of "no picture"
      return sink_.take(
          {.name = directory.string(),
           .bytes = {},
           .error = fmt::format("{}: the folder cannot be read: {}", directory.string(), error.message())});
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string name(names.name(i));
      if (name.starts_with('.')) continue;
      if (names.is_folder(i)) {
        if (!folder(directory / name)) return false;
      } else if (has_picture_extension(name)) {
        ++found_;
        if (!sink_.take({.name = (directory / name).string(), .bytes = {}, .error = {}})) return false;
      }
    }
    return true;
  }

  bool pattern(const std::string& text) {
    bool matched = false;
    const bool more = match_files(text, [&](const std::string& found) {
      matched = true;
      return path(found);
    });
    if (matched) return more;
    return sink_.take({.name = text, .bytes = {}, .error = fmt::format("{}: no file matches this pattern", text)});
  }

  bool standard_input() {
    StdinReader reader(sink_.wanted);
    const auto begins_as_picture = [&] { return kind_ == Stdin::kDetect && reader.begins_as_picture(); };
    if (kind_ == Stdin::kPicture || begins_as_picture()) {
      std::string error;
      std::string bytes = reader.rest(error);
      return sink_.take({.name = "-", .bytes = std::move(bytes), .error = std::move(error)});
    }
    std::string error;
    while (const auto line = reader.line(error))
      if (!line->empty() && !path(*line)) return false;
    return error.empty() || sink_.take({.name = "-", .bytes = {}, .error = std::move(error)});
  }

  const Stdin kind_;
  const InputSink& sink_;
  std::int64_t found_ = 0;  // in the folder that is being walked through
};

}  // namespace

void list_inputs(const std::vector<std::string>& arguments, Stdin kind, const InputSink& sink) {
  Walk walk(kind, sink);
  for (const std::string& argument : arguments)
    if (!walk.argument(argument)) return;
}

}  // namespace capstan::cli
