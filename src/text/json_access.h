// Typed reading of JSON values that strangers wrote: every wrong type is a DataError with file and key.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace capstan::text {

// The value of `key`; nullptr when `object` is no object, lacks the key or has null there.
const nlohmann::json* find_value(const nlohmann::json& object, std::string_view key);

// `where` is the file in messages. DataError when the value is there but of another type.
bool bool_or(const nlohmann::json& object, std::string_view key, bool fallback, const std::string& where);
std::optional<std::string> find_text(const nlohmann::json& object, std::string_view key, const std::string& where);

// `value` as a whole number that fits 64 bits; `what` says what it belongs to in the message.
std::int64_t whole_number(const nlohmann::json& value, const std::string& where, std::string_view what);

}  // namespace capstan::text
