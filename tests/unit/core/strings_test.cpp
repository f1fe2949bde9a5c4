#include "capstan/core/strings.h"

#include "support/catch.h"

using namespace capstan;

TEST_CASE("the nearest name is found through a typing mistake", "[core][strings]") {
  const std::vector<std::string> names{"learning_rate", "weight_decay", "warmup_steps"};
  CHECK(nearest("learnin_rate", names) == "learning_rate");
  CHECK(nearest("Weight_Decay", names) == "weight_decay");
  CHECK(nearest("zzz", names).empty());
  CHECK(did_you_mean("warmup", names) == " Did you mean 'warmup_steps'?");
}

TEST_CASE("split keeps empty parts and join is its inverse", "[core][strings]") {
  const auto parts = split("a..b.", '.');
  REQUIRE(parts == std::vector<std::string>{"a", "", "b", ""});
  CHECK(join(parts, ".") == "a..b.");
}

TEST_CASE("people read bytes, durations and counts", "[core][strings]") {
  CHECK(human_bytes(512) == "512 B");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_duration(4.25) == "4.2 s");
  CHECK(human_duration(200) == "3 min 20 s");
  CHECK(human_duration(7500) == "2 h 05 min");
  CHECK(human_count(1234567) == "1,234,567");
  CHECK(human_count(-1234) == "-1,234");
  CHECK(human_count(0) == "0");
  CHECK(human_count(7) == "7");
  CHECK(human_count(12.34) == "12.3");
}

TEST_CASE("UTF-8 is checked as the standard says", "[core][strings]") {
  CHECK(is_valid_utf8("caf\xc3\xa9 \xf0\x9f\x90\x95"));
  CHECK_FALSE(is_valid_utf8("\xc3"));              // cut short
  CHECK_FALSE(is_valid_utf8("\xc0\xaf"));          // longer than needed
  CHECK_FALSE(is_valid_utf8("\xed\xa0\x80"));      // surrogate
  CHECK_FALSE(is_valid_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
}
