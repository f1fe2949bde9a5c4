#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "capstan/core/strings.h"

namespace capstan::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::size_t utf8_length(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

// "2.50e-05" is "2.5e-5" to people.
std::string tidy_exponent(const std::string& text) {
  const std::size_t e = text.find('e');
  if (e == std::string::npos) return text;
  return fmt::format("{}e{}", text.substr(0, e), std::stoi(text.substr(e + 1)));
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 8);
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::string_view whole = text.substr(i, utf8_length(byte));
    if (!is_valid_utf8(whole) || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      escaped += kReplacement;
      ++i;
      continue;
    }
    switch (text[i]) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += whole;
    }
    i += whole.size();
  }
  return escaped;
}

std::string format_number(double value) {
  const double size = std::fabs(value);
  if (size >= 1000 && size < 1e12) return human_count(std::round(value));
  return tidy_exponent(fmt::format("{:.4g}", value));
}

std::string format_count(double value) {
  const double size = std::fabs(value);
  if (size >= 1e15) return tidy_exponent(fmt::format("{:.3g}", value));
  constexpr std::pair<double, char> kUnits[] = {{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}};
  for (const auto& [unit, name] : kUnits)
    if (size >= unit) return fmt::format("{:.6g}{}", value / unit, name);
  return tidy_exponent(fmt::format("{:.6g}", value));
}

}  // namespace capstan::report
