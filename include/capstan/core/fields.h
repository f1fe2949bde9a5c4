// How a configuration struct describes its fields, once, for reading, checking, printing and documenting.
//
//   struct OptimizerConfig {
//     double learning_rate = 5e-5;
//     std::string schedule = "linear";
//     template <class Visitor> void fields(Visitor& v) {
//       v("learning_rate", learning_rate, "Peak rate.", at_least(0));
//       v("schedule", schedule, "Shape of the rate over time.", one_of({"linear", "cosine"}));
//     }
//   };
//
// A visitor is called as v(key, value, documentation, limits). Supported values: bool, int, std::int64_t,
// double, std::string, std::vector of these, std::optional of these, and structs that have fields().
// A struct may also have `void check(std::vector<std::string>& problems) const` for relations between fields.
#pragma once
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

namespace capstan {

// What a value may be, beyond its type. Numeric bounds are inclusive unless `above` is set.
struct Limits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;              // the minimum itself is excluded
  std::vector<std::string> choices{};  // for strings; empty means any
};

inline Limits at_least(double min) { return {.min = min}; }
inline Limits above(double min) { return {.min = min, .above_min = true}; }
inline Limits between(double min, double max) { return {.min = min, .max = max}; }
inline Limits one_of(std::initializer_list<const char*> choices) {
  Limits limits;
  limits.choices.assign(choices.begin(), choices.end());
  return limits;
}

}  // namespace capstan
