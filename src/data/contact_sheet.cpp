#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/data/cache.h"
#include "capstan/data/inspect.h"
#include "capstan/data/sampler.h"
#include "capstan/image/decode.h"
#include "capstan/image/draw.h"

namespace capstan {
namespace {

constexpr int kJpegQuality = 88;
constexpr int kTile = 192;   // side of a picture on the PNG sheet
constexpr int kColumns = 6;  // of the PNG sheet
constexpr int kMargin = 10;
constexpr int kLetters = 8;  // height of a capital, in pixels
constexpr int kLine = 15;    // from line to line
constexpr int kLines = 4;    // of a caption
constexpr Rgb kPaper{250, 250, 248}, kInk{30, 30, 34};

struct Shown {
  Image picture;
  std::string file;
  std::vector<std::string> captions;
};

std::vector<Shown> choose(const Cache& cache, const ContactSheetOptions& options) {
  const Permutation order(cache.num_images(), static_cast<std::uint64_t>(options.seed));
  std::vector<std::int64_t> images;
  for (std::int64_t i = 0; i < std::min(options.samples, cache.num_images()); ++i) images.push_back(order(i));
  std::sort(images.begin(), images.end());
  const auto side = static_cast<int>(cache.image_size());
  std::vector<Shown> shown;
  for (const std::int64_t image : images) {
    Image picture{.height = side, .width = side, .rgb = {}};
    picture.rgb.resize(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3);
    cache.read_pixels(image, picture.rgb.data());
    shown.push_back({std::move(picture), cache.image_file(image), cache.captions_of(image)});
  }
  return shown;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= group.size() ? kAlphabet[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (c == '"')
      result += "&quot;";
    else
      result += c;
  }
  return result;
}

std::string html_sheet(const std::vector<Shown>& shown, const std::string& title) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n<style>\n"
      "body {{ font: 14px/1.4 system-ui, sans-serif; margin: 24px; background: #fafaf8; color: #1e1e22; }}\n"
      ".sheet {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(224px, 1fr)); gap: 20px; }}\n"
      "figure {{ margin: 0; }}\nimg {{ width: 100%; border-radius: 4px; }}\n"
      "ul {{ margin: 4px 0 0; padding-left: 18px; }}\nsmall {{ color: #77777d; }}\n"
      "</style></head><body>\n<h1>{0}</h1>\n<div class=\"sheet\">\n",
      escaped(title));
  for (const Shown& item : shown) {
    html +=
        fmt::format("<figure><img alt=\"{0}\" src=\"data:image/jpeg;base64,{1}\"><figcaption><small>{0}</small><ul>",
                    escaped(item.file), base64(encode_jpeg(item.picture, kJpegQuality)));
    for (const std::string& caption : item.captions) html += "<li>" + escaped(std::string(trim(caption))) + "</li>";
    html += "</ul></figcaption></figure>\n";
  }
  return html + "</div></body></html>\n";
}

// Words put into lines that fit; what does not fit ends in dots.
std::vector<std::string> wrapped(const std::string& caption) {
  std::vector<std::string> lines{""};
  for (const std::string& word : split(caption, ' ')) {
    if (word.empty()) continue;
    const std::string longer = lines.back().empty() ? word : lines.back() + " " + word;
    if (lines.back().empty() || Canvas::text_width(longer, kLetters) <= kTile) {
      lines.back() = longer;
    } else if (lines.size() == kLines) {
      lines.back() += " ...";
      break;
    } else {
      lines.push_back(word);
    }
  }
  return lines;
}

std::string png_sheet(const std::vector<Shown>& shown) {
  const int columns = std::min<int>(kColumns, static_cast<int>(shown.size()));
  const int rows = (static_cast<int>(shown.size()) + columns - 1) / columns;
  const int width = kTile + kMargin, height = kTile + kLines * kLine + 2 * kMargin;
  Canvas canvas(rows * height + kMargin, columns * width + kMargin);
  canvas.fill(kPaper);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const int left = kMargin + static_cast<int>(i) % columns * width;
    const int top = kMargin + static_cast<int>(i) / columns * height;
    canvas.paste(resize(shown[i].picture, kTile, kTile, Resample::kBicubic), top, left);
    double bottom = top + kTile + kLine;
    for (const std::string& line : wrapped(shown[i].captions.front())) {
      canvas.text(line, left, bottom, kLetters, kInk);
      bottom += kLine;
    }
  }
  return encode_png(canvas.image());
}

}  // namespace

void write_contact_sheet(const fs::path& directory, const ContactSheetOptions& options) {
  const std::string split = options.split.empty() ? Cache::splits(directory).at(0) : options.split;
  const Cache cache(directory, split);
  const std::vector<Shown> shown = choose(cache, options);
  const std::string extension = to_lower_ascii(options.file.extension().string());
  if (extension == ".html" || extension == ".htm") {
    const std::string title =
        fmt::format("{} of {} pictures of {}, split {}", shown.size(), cache.num_images(), directory.string(), split);
    return write_file_atomic(options.file, html_sheet(shown, title));
  }
  if (extension == ".png") return write_file_atomic(options.file, png_sheet(shown));
  throw DataError(fmt::format("{}: a contact sheet is written as .png or .html", options.file.string()));
}

}  // namespace capstan
