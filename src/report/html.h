// Text into HTML and SVG.
#pragma once
#include <string>
#include <string_view>

namespace capstan::report {

// Safe as text and in quoted attributes. Bytes that are no UTF-8 and control characters but newline and tab become
// U+FFFD.
std::string escape_html(std::string_view text);

// Four digits or so, for people: "0.00341", "2.5e-5", "1,235".
std::string format_number(double value);

// Steps and other counts on an axis: "500", "2.5k", "1M".
std::string format_count(double value);

}  // namespace capstan::report
