// Types, ranges and choices of single keys.
#include "models/json_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {

using nlohmann::json;

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 80 ? fmt::format("{}...", std::string_view(text).substr(0, 80)) : text;
}

void JsonReader::operator()(const char* key, int& value, const char*, const Limits& limits) const {
  if (const json* found = find(key)) {
    if (!found->is_number_integer()) fail(key, *found, "a whole number");
    const auto number = found->get<double>();
    check(key, *found, number, limits);
    value = static_cast<int>(number);
  }
}

void JsonReader::operator()(const char* key, double& value, const char*, const Limits& limits) const {
  if (const json* found = find(key)) {
    if (!found->is_number()) fail(key, *found, "a number");
    check(key, *found, found->get<double>(), limits);
    value = found->get<double>();
  }
}

void JsonReader::operator()(const char* key, bool& value, const char*, const Limits&) const {
  if (const json* found = find(key)) {
    if (!found->is_boolean()) fail(key, *found, "true or false");
    value = found->get<bool>();
  }
}

void JsonReader::operator()(const char* key, std::string& value, const char*, const Limits& limits) const {
  if (const json* found = find(key)) {
    if (!found->is_string()) fail(key, *found, "a string");
    const auto& choices = limits.choices;
    if (!choices.empty() && std::ranges::find(choices, found->get<std::string>()) == choices.end())
      throw UnsupportedError(
          fmt::format("{}: {} is {}; this version computes {}.", where_, key, shown(*found), join(choices, ", ")));
    value = found->get<std::string>();
  }
}

const json* JsonReader::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonReader::fail(const char* key, const json& value, const std::string& expected) const {
  throw CheckpointError(fmt::format("{}: {} is {}; expected {}.", where_, key, shown(value), expected));
}

void JsonReader::check(const char* key, const json& value, double number, const Limits& limits) const {
  const double least = std::max(limits.min, -2147483648.0);
  const double most = std::min(limits.max, 2147483647.0);
  if (!(number >= least && number <= most) || (limits.above_min && number <= limits.min))
    fail(key, value, fmt::format("{} {} and at most {}", limits.above_min ? "above" : "at least", least, most));
}

void require(const json& object, const std::string& where,
             std::initializer_list<std::pair<const char*, json>> supported) {
  for (const auto& [key, value] : supported) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null() || *found == value) continue;
    throw UnsupportedError(
        fmt::format("{}: {} is {}; this version computes only {}.", where, key, shown(*found), shown(value)));
  }
}

std::string model_type_of(const json& object, const std::string& where, const std::string& expected) {
  if (!object.is_object())
    throw CheckpointError(fmt::format("{}: expected an object, found {}.", where, shown(object)));
  const auto found = object.find("model_type");
  if (found == object.end() || !found->is_string())
    throw CheckpointError(fmt::format("{}: has no model_type; expected {}.", where, expected));
  return found->get<std::string>();
}

json square(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) return nullptr;
  if (!found->is_array()) return *found;
  if (found->size() != 2 || (*found)[0] != (*found)[1])
    throw UnsupportedError(
        fmt::format("{}: {} is {}; this version takes square sizes only.", where, key, shown(*found)));
  return (*found)[0];
}

}  // namespace capstan
