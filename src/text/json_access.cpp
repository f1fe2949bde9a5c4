// Messages for the reader of a broken tokenizer file.
#include "text/json_access.h"

#include <fmt/format.h>

#include <limits>

#include "capstan/core/error.h"

namespace capstan::text {

const nlohmann::json* find_value(const nlohmann::json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool bool_or(const nlohmann::json& object, std::string_view key, bool fallback, const std::string& where) {
  const nlohmann::json* value = find_value(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    throw DataError(fmt::format("{}: '{}' is {}; expected true or false.", where, key, value->type_name()));
  }
  return value->get<bool>();
}

std::optional<std::string> find_text(const nlohmann::json& object, std::string_view key, const std::string& where) {
  const nlohmann::json* value = find_value(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    throw DataError(fmt::format("{}: '{}' is {}; expected a string.", where, key, value->type_name()));
  }
  return value->get<std::string>();
}

std::int64_t whole_number(const nlohmann::json& value, const std::string& where, std::string_view what) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  if (!fits) throw DataError(fmt::format("{}: {} is not a whole number.", where, what));
  return value.get<std::int64_t>();
}

}  // namespace capstan::text
