// Patterns over the dotted names of parameters and modules.
#pragma once
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

// One of
//   "encoder.layernorm"     a name, and everything below it
//   "decoder.*.ln_?.bias"   * stands for any run of characters, dots included, ? for one; for the whole name
//   "regex:.*\.ln_[12]\..*" a regular expression (ECMAScript) for the whole name
class NamePattern {
 public:
  // ConfigError when the regular expression cannot be read.
  explicit NamePattern(std::string text);
  bool matches(std::string_view name) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::optional<std::regex> regex_;
};

// Whether peft's target_modules entry selects the module: an entry with any of *+?()[]{}|^$\ is a regular expression
// for the whole name, any other the name itself or its last parts. ConfigError when the expression cannot be read.
bool selects_module(const std::string& entry, const std::string& name);

// " Did you mean 'encoder'?" or "": the part of any of the names that is nearest to what was asked for.
std::string nearest_name(std::string_view asked, const std::vector<std::string>& names);

}  // namespace capstan
