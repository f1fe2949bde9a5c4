#include "capstan/train/period.h"

#include "capstan/config/load.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;

namespace {

// A section as the trainer's: the text is kept, and said to be wrong where it is.
struct Section {
  std::string save_steps = "500";
  template <class Visitor>
  void fields(Visitor& v) {
    v("save_steps", save_steps, "How often.");
  }
  void check(std::vector<std::string>& problems) const { check_period("save_steps", save_steps, problems); }
};

Section read_section(const std::string& yaml) {
  Section section;
  config::Problems problems;
  config::read(config::parse_yaml(yaml, "a.yaml"), section, problems);
  problems.throw_if_any();
  return section;
}

}  // namespace

TEST_CASE("a period is a number with its unit", "[train][period]") {
  const struct {
    const char* text;
    double value;
    PeriodUnit unit;
    const char* written;
  } cases[] = {
      {"500", 500, PeriodUnit::kSteps, "500 steps"},
      {" 1 ", 1, PeriodUnit::kSteps, "1 step"},
      {"500 steps", 500, PeriodUnit::kSteps, "500 steps"},
      {"2k", 2000, PeriodUnit::kSteps, "2000 steps"},
      {"1.5K steps", 1500, PeriodUnit::kSteps, "1500 steps"},
      {"1e3", 1000, PeriodUnit::kSteps, "1000 steps"},
      {"0.5 epochs", 0.5, PeriodUnit::kEpochs, "0.5 epochs"},
      {"1 epoch", 1, PeriodUnit::kEpochs, "1 epoch"},
      {"2epochs", 2, PeriodUnit::kEpochs, "2 epochs"},
      {"20M tokens", 20e6, PeriodUnit::kTokens, "20M tokens"},
      {"20 M  tokens", 20e6, PeriodUnit::kTokens, "20M tokens"},
      {"0.3M tokens", 300'000, PeriodUnit::kTokens, "300000 tokens"},
      {"1B tokens", 1e9, PeriodUnit::kTokens, "1B tokens"},
      {"1.1B tokens", 1.1e9, PeriodUnit::kTokens, "1100M tokens"},
      {"10 minutes", 600, PeriodUnit::kSeconds, "10 minutes"},
      {"90 min", 5400, PeriodUnit::kSeconds, "90 minutes"},
      {"2h", 7200, PeriodUnit::kSeconds, "2 hours"},
      {"45 s", 45, PeriodUnit::kSeconds, "45 seconds"},
      {"1.5 seconds", 1.5, PeriodUnit::kSeconds, "1.5 seconds"},
      {"1 day", 86'400, PeriodUnit::kSeconds, "1 day"},
      {"0.5d", 43'200, PeriodUnit::kSeconds, "12 hours"},
      {"0", 0, PeriodUnit::kSteps, "0 steps"},
      {"0 epochs", 0, PeriodUnit::kEpochs, "0 epochs"},
  };
  for (const auto& item : cases) {
    INFO(item.text);
    const Period period = Period::parse(item.text);
    CHECK(period.value() == item.value);
    CHECK(period.unit() == item.unit);
    CHECK(period.text() == item.written);
    CHECK(Period::parse(period.text()) == period);
    CHECK(period.never() == (item.value == 0));
  }
}

TEST_CASE("what is no period is refused with what was found and expected", "[train][period]") {
  const std::pair<const char*, const char*> cases[] = {
      {"", "found '', expected a number of steps such as 500"},
      {"often", "found 'often', expected"},
      {"steps", "found 'steps', expected"},
      {"-5", "which is negative"},
      {"nan", "found 'nan', expected"},
      {"inf epochs", "found 'inf epochs', expected"},
      {"2 weeks", "the unit 'weeks' (known: steps, epochs, tokens, days, hours, minutes, seconds)"},
      {"10m", "the unit 'm'"},
      {"1h 30min", "the unit 'h 30min'"},
      {"2M epochs", "k, M and B go with steps and tokens only"},
      {"1.5 steps", "which is no whole number of steps"},
      {"0.1", "which is no whole number of steps"},
      {"1.0001k tokens", "which is no whole number of tokens"},
      {"1e300", "which is too large"},
  };
  for (const auto& [text, words] : cases) {
    INFO(text);
    CHECK_THROWS_WITH(Period::parse(text), ContainsSubstring(words) && ContainsSubstring("'0.5 epochs'"));
    CHECK_THROWS_AS(Period::parse(text), ConfigError);
  }
}

TEST_CASE("a period is due when a multiple of it is reached or passed", "[train][period]") {
  const Period steps = Period::parse("10");
  CHECK_FALSE(steps.due({.step = 8}, {.step = 9}));
  CHECK(steps.due({.step = 9}, {.step = 10}));
  CHECK_FALSE(steps.due({.step = 10}, {.step = 11}));
  const Period tokens = Period::parse("1k tokens");
  CHECK(tokens.due({.tokens = 950}, {.tokens = 1040}));
  CHECK_FALSE(tokens.due({.tokens = 1040}, {.tokens = 1999}));
  CHECK(tokens.due({.tokens = 500}, {.tokens = 9500}));
  const Period minutes = Period::parse("10 minutes");
  CHECK(minutes.due({.seconds = 599.5}, {.seconds = 600.1}));
  CHECK_FALSE(minutes.due({.seconds = 600.1}, {.seconds = 1199}));
  CHECK_FALSE(Period().due({}, {.step = 1000, .epoch = 10, .tokens = 1000, .seconds = 1000}));
  CHECK_FALSE(Period::parse("0 epochs").due({}, {.epoch = 10}));
}

TEST_CASE("every part of an epoch is due once, at the step that reaches it", "[train][period]") {
  const std::pair<const char*, std::int64_t> periods[] = {
      {"1 epoch", 1}, {"0.5 epochs", 2}, {"0.25 epochs", 4}, {"0.1 epochs", 10}};
  for (const std::int64_t samples : {7, 10, 300, 590'000}) {
    for (const auto& [text, parts] : periods) {
      INFO(samples << " samples, " << text);
      const Period period = Period::parse(text);
      const std::int64_t batch = samples > 1000 ? 640 : 1;
      const auto at = [&](std::int64_t position) {
        return TrainingPoint{.epoch = static_cast<double>(position) / static_cast<double>(samples)};
      };
      for (std::int64_t position = 0; position < 20 * samples; position += batch) {
        const std::int64_t next = position + batch;
        const bool expected = next * parts / samples > position * parts / samples;  // in whole numbers
        if (period.due(at(position), at(next)) != expected) FAIL_CHECK("position " << next);
      }
    }
  }
}

TEST_CASE("a period is read from YAML as number or text and written back", "[train][period][config]") {
  CHECK(read_section("save_steps: 250").save_steps == "250");
  CHECK(read_section("save_steps: 0.5 epochs").save_steps == "0.5 epochs");
  for (const char* text : {"250", "0.5 epochs", "2h"}) {
    Section section;
    section.save_steps = text;
    CHECK(read_section(config::to_yaml(section)).save_steps == text);
  }
  CHECK_THROWS_WITH(read_section("save_steps: 3 weeks"),
                    ContainsSubstring("save_steps: found '3 weeks'") && ContainsSubstring("'20M tokens'"));
}
