// Character classes and UTF-8 repair, with values from the Unicode standard.
#include "text/unicode.h"

#include "support/catch.h"
#include "text/byte_alphabet.h"

using namespace capstan::text;

TEST_CASE("characters fall into letters, numbers, spaces and the rest", "[text][unicode]") {
  for (const char32_t c : {U'a', U'Z', U'\u00E9', U'\u0416', U'\u6F22', U'\U00010400'}) {
    CHECK(classify(c) == CharClass::kLetter);
  }
  for (const char32_t c : {U'7', U'\u0663', U'\u00BD', U'\u2167'}) CHECK(classify(c) == CharClass::kNumber);
  for (const char32_t c : {U' ', U'\t', U'\u00A0', U'\u2028', U'\u3000'}) CHECK(classify(c) == CharClass::kSpace);
  for (const char32_t c : {U'!', U'\u0301', U'\u200B', U'\U0001F44B', U'\uFFFD', U'\U0010FFFF'}) {
    CHECK(classify(c) == CharClass::kOther);
  }
}

TEST_CASE("character ranges rise and do not touch each other's members", "[text][unicode]") {
  const auto ranges = char_ranges();
  REQUIRE(ranges.size() > 500);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    REQUIRE(ranges[i].first <= ranges[i].last);
    if (i > 0) REQUIRE(ranges[i - 1].last < ranges[i].first);
  }
}

TEST_CASE("ill-formed bytes become one replacement character for each maximal part", "[text][unicode]") {
  const std::string bad = "\xEF\xBF\xBD";
  // The examples of the Unicode standard, section 3.9, table 3-8, and of Rust's from_utf8_lossy.
  CHECK(to_valid_utf8("a\xF1\x80\x80\xE1\x80\xC2"
                      "b\x80"
                      "c\x80\xBF"
                      "d") == "a" + bad + bad + bad + "b" + bad + "c" + bad + bad + "d");
  CHECK(to_valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == bad + bad + bad + bad + bad + bad + bad + bad + "A");
  CHECK(to_valid_utf8("\xED\xA0\x80") == bad + bad + bad);  // a surrogate
  CHECK(to_valid_utf8("\xF4\x90\x80\x80") == bad + bad + bad + bad);
  CHECK(to_valid_utf8("\xE2\x82") == bad);
  CHECK(to_valid_utf8("\xE2\x82\xAC \xF0\x9F\x91\x8B") == "\xE2\x82\xAC \xF0\x9F\x91\x8B");
}

TEST_CASE("every byte has a character of its own in the byte alphabet", "[text][byte_alphabet]") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const std::string spelled = spell_bytes(all);
  CHECK(bytes_of_spelling(spelled) == all);
  CHECK(spell_bytes(" a\n") ==
        "\xC4\xA0"
        "a"
        "\xC4\x8A");  // U+0120 a U+010A, as in GPT-2's vocab.json
  CHECK_FALSE(bytes_of_spelling("a b"));
  CHECK_FALSE(bytes_of_spelling("\xE6\xBC\xA2"));
}
