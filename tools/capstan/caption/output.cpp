#include "caption/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"

namespace capstan::cli {
namespace {

// Control characters would end the line or the field, or play tricks with a terminal.
std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; },
                  ' ');
  return text;
}

std::string format_text(const std::string& path, std::span<const Caption> captions) {
  if (captions.size() == 1) return fmt::format("{}\t{}\n", path, one_line(captions.front().text));
  std::string lines;
  for (const Caption& caption : captions)
    lines += fmt::format("{}\t{}\t{:.6f}\n", path, one_line(caption.text), caption.score);
  return lines;
}

std::string format_json(const std::string& path, std::span<const Caption> captions) {
  nlohmann::ordered_json line{{"path", path}, {"caption", captions.front().text}, {"score", captions.front().score}};
  if (captions.size() > 1)
    for (const Caption& caption : captions)
      line["alternatives"].push_back({{"caption", caption.text}, {"score", caption.score}});
  // Paths may be bytes that are not UTF-8.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string format_csv(const std::string& path, std::span<const Caption> captions) {
  std::string lines;
  for (std::size_t i = 0; i < captions.size(); ++i)
    lines += fmt::format("{},{},{:.6f},{}\n", csv_field(path), csv_field(captions[i].text), captions[i].score, i + 1);
  return lines;
}

}  // namespace

std::string format_captions(const std::string& format, const std::string& path, std::span<const Caption> captions) {
  CAPSTAN_ASSERT(!captions.empty());
  if (format == "json") return format_json(path, captions);
  return format == "csv" ? format_csv(path, captions) : format_text(path, captions);
}

std::string format_heading(const std::string& format) { return format == "csv" ? "path,caption,score,rank\n" : ""; }

bool write_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) return false;
    if (written < 0) throw DataError(fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace capstan::cli
