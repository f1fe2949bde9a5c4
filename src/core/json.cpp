#include "capstan/core/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"

namespace capstan {
namespace {

constexpr int kMaxDepth = 256;  // deeper input is an attack on the stack, not data

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view name) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) too_deep = true;
    return !too_deep;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text, watch_depth);
    if (!too_deep) return value;
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t at = std::min<std::size_t>(error.byte == 0 ? 0 : error.byte - 1, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    const std::size_t line_start = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    const std::size_t column = line_start == std::string_view::npos ? at + 1 : at - line_start;
    const std::string_view what = error.what();
    const std::size_t detail = what.rfind(": ");
    throw DataError(fmt::format("{}:{}:{}: broken JSON: {}", name, line, column,
                                detail == std::string_view::npos ? what : what.substr(detail + 2)));
  } catch (const nlohmann::json::out_of_range& error) {  // 1e999: well-formed, but no double
    const std::string_view what = error.what();
    throw DataError(fmt::format("{}: broken JSON: {}", name, what.substr(std::min(what.size(), what.find("] ") + 2))));
  }
  throw DataError(fmt::format("{}: JSON nested deeper than {} levels", name, kMaxDepth));
}

nlohmann::json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& value) {
  // Invalid UTF-8 (a file name, say) is replaced instead of losing the whole document.
  write_file_atomic(path, value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace capstan
