// describe_options and load_options for structs with fields().
#pragma once
#include <string>
#include <vector>

#include "capstan/config/load.h"
#include "capstan/config/write.h"

namespace capstan::cli {

class OptionLister {
 public:
  template <class T>
  void operator()(const char* key, T& value, const char* doc, const Limits& limits = {}) {
    std::string left = std::string("  ") + key + "=" + config::format_value(value);
    left.resize(std::max<std::size_t>(left.size() + 2, 36), ' ');
    std::string choices;
    for (const auto& choice : limits.choices) choices += (choices.empty() ? " (" : ", ") + choice;
    text_ += left + doc + (choices.empty() ? "" : choices + ")") + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <class Options>
std::string describe_options() {
  Options options;
  OptionLister lister;
  options.fields(lister);
  return lister.text();
}

// The options of a file-level command from its overrides.
template <class Options>
Options load_options(const std::vector<std::string>& overrides) {
  return config::load<Options>("", overrides);
}

}  // namespace capstan::cli
