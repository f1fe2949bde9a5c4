// Reading and writing the objects inside config.json through the structs' own descriptions of their fields.
#pragma once
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "capstan/core/fields.h"

namespace capstan {

// Fills fields from the keys of a JSON object that carry their names; absent and null keys change nothing. `where`
// names the file and part in messages. CheckpointError for a wrong type or range, UnsupportedError for a word that is
// no choice.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& object, const std::string& where) : object_(object), where_(where) {}

  void operator()(const char* key, int& value, const char* doc, const Limits& limits = {}) const;
  void operator()(const char* key, double& value, const char* doc, const Limits& limits = {}) const;
  void operator()(const char* key, bool& value, const char* doc, const Limits& limits = {}) const;
  void operator()(const char* key, std::string& value, const char* doc, const Limits& limits = {}) const;

 private:
  const nlohmann::json* find(const char* key) const;
  [[noreturn]] void fail(const char* key, const nlohmann::json& value, const std::string& expected) const;
  void check(const char* key, const nlohmann::json& value, double number, const Limits& limits) const;

  const nlohmann::json& object_;
  const std::string& where_;
};

struct JsonWriter {
  nlohmann::ordered_json& object;
  template <class Value>
  void operator()(const char* key, const Value& value, const char*, const Limits& = {}) {
    object[key] = value;
  }
};

// A value for a message, cut where it is long.
std::string shown(const nlohmann::json& value);

// Keys whose only supported value is given; anything else would change the numbers silently. UnsupportedError.
void require(const nlohmann::json& object, const std::string& where,
             std::initializer_list<std::pair<const char*, nlohmann::json>> supported);

// The object's model_type. CheckpointError when there is none; `expected` is for that message.
std::string model_type_of(const nlohmann::json& object, const std::string& where, const std::string& expected);

// transformers writes sizes as a number or as [height, width]. UnsupportedError where the two differ.
nlohmann::json square(const nlohmann::json& object, const char* key, const std::string& where);

}  // namespace capstan
