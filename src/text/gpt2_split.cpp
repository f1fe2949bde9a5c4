// A hand-written scanner in place of the regular expression: one pass, one look at each character.
#include "text/gpt2_split.h"

#include "text/unicode.h"

namespace capstan::text {
namespace {

// Length of the contraction that starts with the apostrophe at `begin`; 0 when there is none.
std::size_t contraction_size(std::string_view text, std::size_t begin) {
  const std::string_view rest = text.substr(begin + 1, 2);
  if (rest.empty()) return 0;
  if (rest[0] == 's' || rest[0] == 't' || rest[0] == 'm' || rest[0] == 'd') return 2;
  if (rest == "re" || rest == "ve" || rest == "ll") return 3;
  return 0;
}

// The end of the run of `run_class` that goes on at `position`.
std::size_t run_end(std::string_view text, std::size_t position, CharClass run_class) {
  while (position < text.size()) {
    const CodePoint c = code_point_at(text, position);
    if (classify(c.code_point) != run_class) break;
    position += c.size;
  }
  return position;
}

// White space: all of it at the end of the text, else all but the last character, which goes to the next word.
std::size_t space_end(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  std::size_t last = begin;
  while (end < text.size()) {
    const CodePoint c = code_point_at(text, end);
    if (classify(c.code_point) != CharClass::kSpace) break;
    last = end;
    end += c.size;
  }
  return end == text.size() || last == begin ? end : last;
}

}  // namespace

std::size_t gpt2_word_end(std::string_view text, std::size_t begin) {
  const CodePoint first = code_point_at(text, begin);
  if (first.code_point == '\'') {
    const std::size_t size = contraction_size(text, begin);
    if (size != 0) return begin + size;
  }
  const CharClass first_class = classify(first.code_point);
  const std::size_t second_at = begin + first.size;
  if (first_class != CharClass::kSpace) return run_end(text, second_at, first_class);
  if (first.code_point == ' ' && second_at < text.size()) {
    const CodePoint second = code_point_at(text, second_at);
    const CharClass second_class = classify(second.code_point);
    if (second_class != CharClass::kSpace) return run_end(text, second_at + second.size, second_class);
  }
  return space_end(text, begin);
}

}  // namespace capstan::text
