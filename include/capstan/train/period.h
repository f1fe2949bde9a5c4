// How often something happens in a run: "500 steps", "0.5 epochs", "20M tokens", "10 minutes". A configuration holds
// the text; check_period says what is wrong with it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace capstan {

enum class PeriodUnit { kSteps, kEpochs, kTokens, kSeconds };

// Where training stands, counted from its start. Every process of a run must be given the same numbers.
struct TrainingPoint {
  std::int64_t step = 0;
  double epoch = 0;
  std::int64_t tokens = 0;
  double seconds = 0;
};

class Period {
 public:
  Period() = default;  // never
  // A number, and steps (when nothing follows), epochs, tokens, seconds, minutes, hours or days, in plural or singular
  // or as s, min, h and d. k, M and B behind the number of steps or tokens are thousands, millions and billions. Steps
  // and tokens must come out whole. 0 is never. ConfigError says what was found and expected.
  static Period parse(const std::string& text);

  PeriodUnit unit() const { return unit_; }
  double value() const { return value_; }  // in steps, epochs, tokens or seconds
  bool never() const { return value_ == 0; }
  // Whether a multiple of the period lies after `before` and not after `after`. Each multiple is due exactly once when
  // a run asks with adjoining points. Epochs and seconds count as reached a billionth of the period early, so that
  // tenths of an epoch come when they are due despite rounding.
  bool due(const TrainingPoint& before, const TrainingPoint& after) const;
  // What parse() takes: "500 steps", "20M tokens", "1 epoch", "10 minutes".
  std::string text() const;

  bool operator==(const Period&) const = default;

 private:
  Period(double value, PeriodUnit unit) : value_(value), unit_(unit) {}
  double value_ = 0;
  PeriodUnit unit_ = PeriodUnit::kSteps;
};

// Adds "key: found ..., expected ..." when `text` is no period.
void check_period(const std::string& key, const std::string& text, std::vector<std::string>& problems);

}  // namespace capstan
