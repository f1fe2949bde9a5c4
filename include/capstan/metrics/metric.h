// Strings in, numbers out: how good captions are, without knowing of models.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "capstan/core/registry.h"

namespace capstan {

// One corpus score in the making. Not thread-safe.
class Metric {
 public:
  virtual ~Metric() = default;
  virtual void add(std::string_view prediction, std::span<const std::string> references) = 0;
  // Fractions by key ("rouge1", "rougeL"), over everything added since the last reset.
  virtual std::map<std::string, double> result() const = 0;
  // Scores of the pair added last, same keys.
  virtual std::map<std::string, double> last() const = 0;
  virtual void reset() = 0;
};

// Options that concern metrics, by the names of `evaluate`.
struct MetricOptions {
  bool use_stemmer = true;  // Porter stemming in ROUGE
};

struct MetricEntry {
  std::string name;
  std::string summary;
  std::function<std::unique_ptr<Metric>(const MetricOptions&)> make;
};
const Registry<MetricEntry>& metrics();

}  // namespace capstan
