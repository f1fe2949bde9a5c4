#include "capstan/train/period.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr double kLargest = 1e15;  // whole numbers up to here are exact as double, multiples of them as integers
constexpr double kEarly = 1e-9;
constexpr const char* kExpected =
    "a number of steps such as 500, or a number with its unit such as '500 steps', '0.5 epochs', '20M tokens', "
    "'10 minutes' or '2h'";

struct Unit {
  std::string_view name;
  PeriodUnit unit;
  double size;
  std::string_view abbreviation;
};

constexpr Unit kUnits[] = {
    {"step", PeriodUnit::kSteps, 1, ""},       {"epoch", PeriodUnit::kEpochs, 1, ""},
    {"token", PeriodUnit::kTokens, 1, ""},     {"day", PeriodUnit::kSeconds, 86'400, "d"},
    {"hour", PeriodUnit::kSeconds, 3600, "h"}, {"minute", PeriodUnit::kSeconds, 60, "min"},
    {"second", PeriodUnit::kSeconds, 1, "s"},
};

struct Suffix {
  char letter;
  double factor;
};

constexpr Suffix kSuffixes[] = {{'B', 1e9}, {'M', 1e6}, {'k', 1e3}};

bool is_counted(PeriodUnit unit) { return unit == PeriodUnit::kSteps || unit == PeriodUnit::kTokens; }

const Unit* find_unit(std::string_view word) {
  for (const Unit& unit : kUnits) {
    const bool plural = word.size() == unit.name.size() + 1 && word.starts_with(unit.name) && word.back() == 's';
    if (word == unit.name || plural || (!unit.abbreviation.empty() && word == unit.abbreviation)) return &unit;
  }
  return nullptr;
}

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw ConfigError(fmt::format("found '{}'{}, expected {}", text, why, kExpected));
}

// What stands behind the number, cut at spaces.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& word : split(text, ' '))
    if (!trim(word).empty()) words.emplace_back(trim(word));
  return words;
}

// The factor of a leading "k", "M" or "B", which is taken away.
double take_suffix(std::vector<std::string>& words) {
  if (words.empty() || words.front().size() != 1) return 1;
  const char letter = words.front().front() == 'K' ? 'k' : words.front().front();
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.letter != letter) continue;
    words.erase(words.begin());
    return suffix.factor;
  }
  return 1;
}

std::string join_units() {
  std::vector<std::string> names;
  for (const Unit& unit : kUnits) names.push_back(std::string(unit.name) + "s");
  return join(names, ", ");
}

std::string write(double value, std::string_view unit, const char* suffix = "") {
  return fmt::format("{}{} {}{}", value, suffix, unit, value == 1 && *suffix == '\0' ? "" : "s");
}

}  // namespace

Period Period::parse(const std::string& text) {
  const std::string_view whole = trim(text);
  double number = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), number);
  if (error != std::errc() || !std::isfinite(number)) refuse(text, "");
  if (number < 0) refuse(text, ", which is negative");
  auto words = words_of(std::string_view(end, static_cast<std::size_t>(whole.data() + whole.size() - end)));
  const double factor = take_suffix(words);
  const Unit* unit = words.empty() ? &kUnits[0] : find_unit(words.front());
  if (words.size() > 1 || unit == nullptr)
    refuse(text, fmt::format(" with the unit '{}' (known: {})", join(words, " "), join_units()));
  if (factor != 1 && !is_counted(unit->unit)) refuse(text, ": k, M and B go with steps and tokens only");
  // The nearest of what was written, so that 0.3M is 300000 and not a fraction beside it.
  double value = number * factor * unit->size;
  if (factor != 1 && std::abs(value - std::round(value)) <= 1e-9 * value) value = std::round(value);
  if (value > kLargest) refuse(text, ", which is too large");
  if (is_counted(unit->unit) && value != std::floor(value))
    refuse(text, fmt::format(", which is no whole number of {}s", unit->name));
  return {value, unit->unit};
}

bool Period::due(const TrainingPoint& before, const TrainingPoint& after) const {
  if (never()) return false;
  const auto counted = [this](std::int64_t from, std::int64_t to) {
    const auto period = static_cast<std::int64_t>(value_);
    return to / period > from / period;
  };
  const auto measured = [this](double from, double to) {
    return std::floor(to / value_ + kEarly) > std::floor(from / value_ + kEarly);
  };
  switch (unit_) {
    case PeriodUnit::kSteps:
      return counted(before.step, after.step);
    case PeriodUnit::kTokens:
      return counted(before.tokens, after.tokens);
    case PeriodUnit::kEpochs:
      return measured(before.epoch, after.epoch);
    case PeriodUnit::kSeconds:
      return measured(before.seconds, after.seconds);
  }
  return false;
}

std::string Period::text() const {
  const auto divides = [this](double size) { return value_ > 0 && std::fmod(value_, size) == 0; };
  for (const Unit& unit : kUnits) {
    if (unit.unit != unit_ || (unit.size > 1 && !divides(unit.size))) continue;
    if (is_counted(unit_))
      for (const Suffix& suffix : kSuffixes)
        if (suffix.factor > 1e3 && divides(suffix.factor))
          return write(value_ / suffix.factor, unit.name, suffix.letter == 'B' ? "B" : "M");
    return write(value_ / unit.size, unit.name);
  }
  return "";
}

void check_period(const std::string& key, const std::string& text, std::vector<std::string>& problems) {
  try {
    Period::parse(text);
  } catch (const ConfigError& error) {
    problems.push_back(key + ": " + error.what());
  }
}

}  // namespace capstan
