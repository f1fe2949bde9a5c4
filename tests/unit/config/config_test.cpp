#include <cstdlib>

#include "capstan/config/load.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::config;

namespace {

struct Inner {
  int steps = 10;
  std::vector<std::string> names{"a"};
  template <class Visitor>
  void fields(Visitor& v) {
    v("steps", steps, "How many.", between(1, 100));
    v("names", names, "Which.");
  }
  void check(std::vector<std::string>& problems) const {
    if (names.empty()) problems.push_back("names is empty, expected at least one");
  }
};

struct Outer {
  double learning_rate = 0.1;
  bool bf16 = false;
  std::string schedule = "linear";
  std::optional<int> limit;
  Component source;
  Inner inner;
  std::vector<Inner> list;
  template <class Visitor>
  void fields(Visitor& v) {
    v("learning_rate", learning_rate, "Peak rate.", above(0));
    v("bf16", bf16, "Half precision.");
    v("schedule", schedule, "Shape.", one_of({"linear", "cosine"}));
    v("limit", limit, "Most of them.");
    v("source", source, "Where from.");
    v("inner", inner, "Nested.");
    v("list", list, "Several.");
  }
};

Outer read_text(const std::string& text, Problems& problems) {
  Outer value;
  read(parse_yaml(text, "run.yaml"), value, problems);
  return value;
}

std::string problems_of(const std::string& text) {
  Problems problems;
  read_text(text, problems);
  try {
    problems.throw_if_any();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every kind of field is read", "[config][read]") {
  Problems problems;
  const Outer value = read_text(
      "learning_rate: 1e-3\nbf16: true\nschedule: cosine\nlimit: 3\n"
      "source: {name: coco, config: {images: x}}\ninner:\n  steps: 7\n  names: [b, c]\n",
      problems);
  problems.throw_if_any();
  CHECK(value.learning_rate == 1e-3);
  CHECK(value.bf16);
  CHECK(value.schedule == "cosine");
  CHECK(value.limit == 3);
  CHECK(value.source.name == "coco");
  CHECK(value.source.config.find("images")->scalar == "x");
  CHECK(value.inner.steps == 7);
  CHECK(value.inner.names == std::vector<std::string>{"b", "c"});
}

TEST_CASE("all problems are told at once with file, line and the nearest key", "[config][read]") {
  const std::string text =
      problems_of("learnin_rate: 1\nbf16: yes\ninner:\n  steps: 1000\n  names: []\nschedule: cosin\n");
  CHECK_THAT(text, ContainsSubstring("5 problems"));
  CHECK_THAT(text, ContainsSubstring("run.yaml:1: unknown key 'learnin_rate'. Did you mean 'learning_rate'?"));
  CHECK_THAT(text, ContainsSubstring("run.yaml:2: bf16: found 'yes', expected true or false"));
  CHECK_THAT(text, ContainsSubstring("run.yaml:4: inner.steps: found 1000, expected at least 1 and at most 100"));
  CHECK_THAT(text, ContainsSubstring("inner: names is empty"));
  CHECK_THAT(text, ContainsSubstring(
                       "run.yaml:6: schedule: found 'cosin', expected one of: linear, cosine. Did you mean 'cosine'?"));
}

TEST_CASE("wrong types name what was found and expected", "[config][read]") {
  CHECK(problems_of("inner: {steps: seven}") == "run.yaml:1: inner.steps: found 'seven', expected an integer");
  CHECK(problems_of("inner: {steps: 1.5}") == "run.yaml:1: inner.steps: found '1.5', expected an integer");
  CHECK(problems_of("inner: {names: a}") == "run.yaml:1: inner.names: found 'a', expected a list as in [a, b]");
  CHECK(problems_of("learning_rate: 0") == "run.yaml:1: learning_rate: found 0, expected more than 0");
  CHECK(problems_of("learning_rate: nan") == "run.yaml:1: learning_rate: found 'nan', expected a number");
  CHECK(problems_of("inner: 3") == "run.yaml:1: inner: found '3', expected keys and values");
  CHECK(problems_of("inner: {steps: 99999999999999999999}").find("too large") != std::string::npos);
  CHECK(problems_of("source: {config: {}}").find("has no 'name'") != std::string::npos);
}

TEST_CASE("broken YAML and doubled keys are configuration errors with a line", "[config][yaml]") {
  CHECK_THROWS_WITH(parse_yaml("a: [1\nb: 2", "x.yaml"),
                    ContainsSubstring("x.yaml:") && ContainsSubstring("broken YAML"));
  CHECK_THROWS_WITH(parse_yaml("a: 1\na: 2", "x.yaml"), "x.yaml:2: the key 'a' appears twice");
  CHECK_THROWS_AS(load_yaml("no/such/file.yaml"), ConfigError);
}

TEST_CASE("environment variables are filled in", "[config][yaml]") {
  ::setenv("CAPSTAN_TEST_FOLDER", "photos", 1);
  CHECK(parse_yaml("a: ${CAPSTAN_TEST_FOLDER}/x", "x").find("a")->scalar == "photos/x");
  CHECK(parse_yaml("a: ${CAPSTAN_TEST_NONE:-y}", "x").find("a")->scalar == "y");
  CHECK(parse_yaml("a: 5$$", "x").find("a")->scalar == "5$");
  CHECK_THROWS_WITH(parse_yaml("\na: ${CAPSTAN_TEST_NONE}", "x"),
                    ContainsSubstring("x:2") && ContainsSubstring("CAPSTAN_TEST_NONE is not set"));
}

TEST_CASE("extends lays files under each other and overrides go on top", "[config][load]") {
  const TempDir dir;
  write_file_atomic(dir.path() / "base.yaml", "learning_rate: 0.5\ninner: {steps: 3, names: [x]}\n");
  write_file_atomic(dir.path() / "top.yaml", "extends: base.yaml\ninner: {steps: 4}\n");
  const std::vector<std::string> overrides{"schedule=cosine", "inner.names=[p, q]", "inner.names.1=r"};
  const Outer value = load<Outer>(dir.path() / "top.yaml", overrides);
  CHECK(value.learning_rate == 0.5);
  CHECK(value.inner.steps == 4);
  CHECK(value.schedule == "cosine");
  CHECK(value.inner.names == std::vector<std::string>{"p", "r"});
  write_file_atomic(dir.path() / "base.yaml", "extends: top.yaml\n");
  CHECK_THROWS_WITH(load<Outer>(dir.path() / "top.yaml", {}), ContainsSubstring("extends itself"));
}

TEST_CASE("a wrong override says where it came from", "[config][load]") {
  CHECK_THROWS_WITH(load<Outer>("", std::vector<std::string>{"bf16"}),
                    "command line: found 'bf16', expected key.path=value");
  CHECK_THROWS_WITH(load<Outer>("", std::vector<std::string>{"bf16=2"}),
                    "command line: bf16: found '2', expected true or false");
}

TEST_CASE("a configuration written out is read back the same", "[config][write]") {
  Problems problems;
  Outer value = read_text(
      "source: {name: coco, config: {images: \"a b: ${HOME}\", count: 3}}\ninner: {names: [\"1\", \"x y\", \"$5\"]}\n"
      "list: [{steps: 7}, {names: [\"a: b\", c]}]\n",
      problems);
  problems.throw_if_any();
  for (const bool comments : {false, true}) {
    const std::string text = to_yaml(value, comments);
    const Outer again = read_text(text, problems);
    problems.throw_if_any();
    CHECK(to_yaml(again, comments) == text);
    CHECK(again.inner.names == value.inner.names);
    REQUIRE(again.list.size() == 2);
    CHECK(again.list[0].steps == 7);
    CHECK(again.list[1].names == std::vector<std::string>{"a: b", "c"});
    CHECK(again.source.config.find("images")->scalar == value.source.config.find("images")->scalar);
  }
}

TEST_CASE("the reference table has a row per field with limits and default", "[config][write]") {
  const std::string table = document_fields<Outer>();
  CHECK_THAT(table, ContainsSubstring("| `inner.steps` | integer, at least 1, at most 100 | `10` | How many. |"));
  CHECK_THAT(table, ContainsSubstring("| `schedule` | text: linear, cosine | `linear` | Shape. |"));
  CHECK_THAT(table, ContainsSubstring("| `inner.names` | list of text | `[a]` | Which. |"));
  CHECK_THAT(table, ContainsSubstring("| `list` | list of section | `[]` | Several. |"));
  CHECK_THAT(table, ContainsSubstring("| `list[].steps` | integer, at least 1, at most 100 | `10` | How many. |"));
}
