// Small text helpers shared by messages, readers and reports.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string to_lower_ascii(std::string_view text);

// The entry of `names` with the smallest edit distance to `name`; empty when none is near.
std::string nearest(std::string_view name, std::span<const std::string> names);
// " Did you mean 'x'?" or "", ready to be appended to a message.
std::string did_you_mean(std::string_view name, std::span<const std::string> names);

std::string human_bytes(std::uint64_t bytes);  // "1.5 MiB"
std::string human_duration(double seconds);    // "2 h 05 min", "3 min 20 s", "4.2 s"
std::string human_count(double count);         // "1,234,567"; "12.3" below 100

// Whether `text` is well-formed UTF-8.
bool is_valid_utf8(std::string_view text);

}  // namespace capstan
