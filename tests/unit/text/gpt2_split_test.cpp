// Words as GPT-2's regular expression divides them; expected values worked out from the pattern.
#include "text/gpt2_split.h"

#include <string>
#include <vector>

#include "support/catch.h"

using Words = std::vector<std::string>;

static Words words(const std::string& text) {
  Words result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = capstan::text::gpt2_word_end(text, begin);
    REQUIRE(end > begin);
    REQUIRE(end <= text.size());
    result.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return result;
}

TEST_CASE("words keep the space before them", "[text][gpt2_split]") {
  CHECK(words("A man, 2 dogs.") == Words{"A", " man", ",", " 2", " dogs", "."});
  CHECK(words("abc123!?x") == Words{"abc", "123", "!?", "x"});
}

TEST_CASE("English contractions are words of their own", "[text][gpt2_split]") {
  CHECK(words("it's we're don't I'll'd") == Words{"it", "'s", " we", "'re", " don", "'t", " I", "'ll", "'d"});
  CHECK(words("'S 'tis 'x '") == Words{"'", "S", " '", "tis", " '", "x", " '"});
  CHECK(words("''s") == Words{"''", "s"});
}

TEST_CASE("the last of several spaces goes to the next word", "[text][gpt2_split]") {
  CHECK(words("a   b") == Words{"a", "  ", " b"});
  CHECK(words("a \t b") == Words{"a", " \t", " b"});
  CHECK(words("a\n\nb") == Words{"a", "\n", "\n", "b"});
  CHECK(words("a  ") == Words{"a", "  "});
  CHECK(words(" \xE3\x80\x80"
              "b") == Words{" ", "\xE3\x80\x80", "b"});
  CHECK(words(" ") == Words{" "});
}

TEST_CASE("bytes that are not UTF-8 are symbols and none is lost", "[text][gpt2_split]") {
  CHECK(words("a\xFF\xFE b") == Words{"a", "\xFF\xFE", " b"});
  CHECK(words("\xE2\x82") == Words{"\xE2\x82"});
  CHECK(words(std::string("\0a", 2)) == Words{std::string("\0", 1), "a"});
}
