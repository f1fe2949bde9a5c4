// Every list of plug-ins in one place, for people and for the reference.
#pragma once
#include <string>
#include <vector>

namespace capstan::app {

struct Catalog {
  struct Entry {
    std::string name;
    std::string summary;
  };
  std::string kind;  // "metric", "data source"
  std::vector<Entry> entries;
};

std::vector<Catalog> catalog();

// docs/configuration.md: a table for each run and each plug-in with options.
std::string configuration_reference();

}  // namespace capstan::app
