// A list of named implementations, filled explicitly from a .def file by its layer.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {

// `Entry` needs `std::string name` and `std::string summary`; the rest is the layer's own.
template <class Entry>
class Registry {
 public:
  // `kind` names the list in messages: "metric", "data source".
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  void add(Entry entry) {
    const std::string name = entry.name;
    if (!entries_.emplace(name, std::move(entry)).second)
      throw Error("the " + kind_ + " '" + name + "' is registered twice");
  }

  // ConfigError lists what is known when `name` is not.
  const Entry& find(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found != entries_.end()) return found->second;
    const auto known = names();
    throw ConfigError("unknown " + kind_ + " '" + std::string(name) + "'; known: " + join(known, ", ") + "." +
                      did_you_mean(name, known));
  }

  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries_) result.push_back(name);
    return result;
  }

  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  const std::string& kind() const { return kind_; }

 private:
  std::string kind_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace capstan
