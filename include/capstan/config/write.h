// Structs back to YAML, and to the reference table in the documentation.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/core/fields.h"

namespace capstan::config {

// YAML of one value on one line; strings are quoted where a reader would take them for something else.
std::string format_value(bool value);
std::string format_value(std::int64_t value);
std::string format_value(double value);
std::string format_value(const std::string& value);
inline std::string format_value(int value) { return format_value(std::int64_t{value}); }
// In flow style: {name: scenes, config: {train: 100}}.
std::string format_value(const Node& value);
std::string format_value(const Component& value);

struct AnyVisitor {
  template <class... Arguments>
  void operator()(Arguments&&...) {}
};

template <class T>
concept HasFields = requires(T& value, AnyVisitor& visitor) { value.fields(visitor); };

// A struct in flow style, for lists of them: {params: [encoder], learning_rate: 1e-05}.
template <class T>
  requires HasFields<T>
std::string format_value(const T& value);

template <class T>
std::string format_value(const std::optional<T>& value) {
  return value ? format_value(*value) : "null";
}

template <class T>
std::string format_value(const std::vector<T>& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + format_value(value);
  return text + "]";
}

class FlowWriter {
 public:
  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& = {}) {
    if (!text_.empty()) text_.append(", ");
    text_.append(key).append(": ").append(format_value(value));
  }
  std::string text() const { return std::string("{").append(text_).append("}"); }

 private:
  std::string text_;
};

template <class T>
  requires HasFields<T>
std::string format_value(const T& value) {
  T copy = value;  // fields() takes no const object
  FlowWriter writer;
  copy.fields(writer);
  return writer.text();
}

// "integer, at least 1", "text: linear or cosine" for the reference.
std::string describe_type(const char* type, const Limits& limits);

template <class T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "true or false";
  else if constexpr (std::is_integral_v<T>)
    return "integer";
  else if constexpr (std::is_floating_point_v<T>)
    return "number";
  else if constexpr (std::is_same_v<T, std::string>)
    return "text";
  else if constexpr (std::is_same_v<T, Component>)
    return "plug-in";
  else if constexpr (requires {
                       typename T::value_type;
                       typename T::size_type;
                     })
    return "list of " + type_name<typename T::value_type>();
  else if constexpr (requires { typename T::value_type; })
    return type_name<typename T::value_type>();
  else
    return "section";
}

// The resolved configuration as YAML, one field a line, that can be read again.
class YamlWriter {
 public:
  explicit YamlWriter(bool comments, int indent = 0) : comments_(comments), indent_(indent) {}

  template <class T>
  void operator()(const char* key, T& value, const char* doc, const Limits& = {}) {
    if constexpr (HasFields<T>) {
      begin_section(key, doc);
      YamlWriter nested(comments_, indent_ + 2);
      value.fields(nested);
      text_ += nested.text_;
    } else {
      line(key, format_value(value), doc);
    }
  }
  const std::string& text() const { return text_; }

 private:
  void begin_section(const char* key, const char* doc);
  void line(const char* key, const std::string& value, const char* doc);
  bool comments_;
  int indent_;
  std::string text_;
};

template <class T>
std::string to_yaml(T value, bool comments = false) {
  YamlWriter writer(comments);
  value.fields(writer);
  return writer.text();
}

// Rows of a markdown table: key, type and limits, default, meaning.
class TableWriter {
 public:
  explicit TableWriter(std::string path = "") : path_(std::move(path)) {}

  template <class T>
  void operator()(const char* key, T& value, const char* doc, const Limits& limits = {}) {
    const std::string name = path_.empty() ? key : path_ + "." + key;
    if constexpr (HasFields<T>) {
      TableWriter nested(name);
      value.fields(nested);
      text_ += nested.text_;
    } else {
      row(name, describe_type(type_name<T>().c_str(), limits), format_value(value), doc);
      if constexpr (requires { typename T::value_type; }) entries<typename T::value_type>(name);
    }
  }
  const std::string& text() const { return text_; }

 private:
  // What the entries of a list of structs hold.
  template <class Entry>
  void entries(const std::string& name) {
    if constexpr (HasFields<Entry>) {
      Entry entry;
      TableWriter nested(name + "[]");
      entry.fields(nested);
      text_ += nested.text_;
    }
  }
  void row(const std::string& name, const std::string& type, const std::string& value, const char* doc);
  std::string path_;
  std::string text_;
};

// The whole table with its heading row.
template <class T>
std::string document_fields() {
  T value{};
  TableWriter writer;
  value.fields(writer);
  return "| key | type | default | meaning |\n| --- | --- | --- | --- |\n" + writer.text();
}

}  // namespace capstan::config
