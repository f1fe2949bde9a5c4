// Configurations as flat lists of keys.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "capstan/config/node.h"

namespace capstan::report {

using FlatConfig = std::vector<std::pair<std::string, std::string>>;  // "train.learning_rate" -> "5e-05"

// In the order of the file; a list is one value, in flow style.
FlatConfig flatten(const config::Node& root);

struct KeyDifference {
  std::string key, a, b;  // "(not set)" where a key is missing
};

// Keys that differ, in the order of `a`, then those that only `b` has.
std::vector<KeyDifference> differences(const FlatConfig& a, const FlatConfig& b);

}  // namespace capstan::report
