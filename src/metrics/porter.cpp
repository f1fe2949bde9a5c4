// Porter's stemmer: conditions on a stem first, then the steps in the order of the paper.
#include "capstan/metrics/porter.h"

#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace capstan {
namespace {

// Words with a stem of their own, and words that are left alone.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kIrregular{{
    {"skies", "sky"},
    {"dying", "die"},
    {"lying", "lie"},
    {"tying", "tie"},
    {"innings", "inning"},
    {"outings", "outing"},
    {"cannings", "canning"},
}};
constexpr std::array<std::string_view, 9> kUnchanged{"sky",  "news",    "inning", "outing", "canning",
                                                     "howe", "proceed", "exceed", "succeed"};

bool is_vowel_letter(char letter) {
  return letter == 'a' || letter == 'e' || letter == 'i' || letter == 'o' || letter == 'u';
}

// A y is a vowel after a consonant and a consonant elsewhere; everything else, digits too, is what its letter says.
bool next_is_consonant(char letter, bool at_start, bool previous_is_consonant) {
  if (letter == 'y') return at_start || !previous_is_consonant;
  return !is_vowel_letter(letter);
}

bool is_consonant(std::string_view word, std::size_t index) {
  std::size_t start = index;
  while (start > 0 && word[start] == 'y') --start;
  bool consonant = next_is_consonant(word[start], true, false);
  for (std::size_t i = start + 1; i <= index; ++i) consonant = next_is_consonant(word[i], false, consonant);
  return consonant;
}

// The paper's m: how often a vowel is followed by a consonant.
int measure(std::string_view stem) {
  int count = 0;
  bool previous = true;
  for (std::size_t i = 0; i < stem.size(); ++i) {
    const bool consonant = next_is_consonant(stem[i], i == 0, previous);
    if (i > 0 && !previous && consonant) ++count;
    previous = consonant;
  }
  return count;
}

// The paper's *v*.
bool has_vowel(std::string_view stem) {
  bool previous = true;
  for (std::size_t i = 0; i < stem.size(); ++i) {
    previous = next_is_consonant(stem[i], i == 0, previous);
    if (!previous) return true;
  }
  return false;
}

// The paper's *d.
bool ends_double_consonant(std::string_view word) {
  const std::size_t size = word.size();
  return size >= 2 && word[size - 1] == word[size - 2] && is_consonant(word, size - 1);
}

// The paper's *o; NLTK also lets a word of one vowel and one consonant pass.
bool ends_short(std::string_view word) {
  const std::size_t size = word.size();
  if (size == 2) return !is_consonant(word, 0) && is_consonant(word, 1);
  if (size < 3) return false;
  const char last = word[size - 1];
  if (last == 'w' || last == 'x' || last == 'y') return false;
  return is_consonant(word, size - 3) && !is_consonant(word, size - 2) && is_consonant(word, size - 1);
}

struct Rule {
  std::string_view suffix;
  std::string_view replacement;
  std::size_t kept = 0;  // letters of the suffix that count as stem when it is measured
};

// The first rule whose suffix fits decides: it is applied when the stem measures at least `min_measure`.
void apply_first(std::string& word, std::span<const Rule> rules, int min_measure) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const std::size_t stem = word.size() - rule.suffix.size();
    if (measure(std::string_view(word).substr(0, stem + rule.kept)) < min_measure) return;
    word.replace(stem, rule.suffix.size(), rule.replacement);
    return;
  }
}

// Plurals.
void step_1a(std::string& word) {
  if (word.ends_with("ies")) {
    word.resize(word.size() - (word.size() == 4 ? 1 : 2));
  } else if (word.ends_with("sses")) {
    word.resize(word.size() - 2);
  } else if (word.ends_with('s') && !word.ends_with("ss")) {
    word.pop_back();
  }
}

// After -ed or -ing is gone: gives back a final e or takes one of two equal consonants away.
void restore_ending(std::string& word) {
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
  } else if (ends_double_consonant(word)) {
    const char last = word.back();
    if (last != 'l' && last != 's' && last != 'z') word.pop_back();
  } else if (measure(word) == 1 && ends_short(word)) {
    word += 'e';
  }
}

// Past tenses and -ing.
void step_1b(std::string& word) {
  const std::string_view text = word;
  if (text.ends_with("ied")) {
    word.resize(word.size() - (word.size() == 4 ? 1 : 2));
  } else if (text.ends_with("eed")) {
    if (measure(text.substr(0, text.size() - 3)) > 0) word.pop_back();
  } else if (text.ends_with("ed") || text.ends_with("ing")) {
    const std::size_t stem = text.size() - (text.ends_with("ed") ? 2 : 3);
    if (!has_vowel(text.substr(0, stem))) return;
    word.erase(stem);
    restore_ending(word);
  }
}

// NLTK asks for a consonant before the y instead of a vowel somewhere, so that "enjoy" keeps its y.
void step_1c(std::string& word) {
  if (word.size() > 2 && word.back() == 'y' && is_consonant(word, word.size() - 2)) word.back() = 'i';
}

// Double suffixes.
void step_2(std::string& word) {
  static constexpr std::array<Rule, 1> kAlli{{{"alli", "al"}}};
  static constexpr std::array<Rule, 21> kRules{{
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"},   {"izer", "ize"},
      {"bli", "ble"},     {"entli", "ent"},   {"eli", "e"},     {"ousli", "ous"},   {"ization", "ize"},
      {"ation", "ate"},   {"ator", "ate"},    {"alism", "al"},  {"iveness", "ive"}, {"fulness", "ful"},
      {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"}, {"biliti", "ble"},  {"fulli", "ful"},
      {"logi", "log", 1},
  }};
  // What -alli leaves may carry another suffix of this step.
  apply_first(word, kAlli, 1);
  apply_first(word, kRules, 1);
}

void step_3(std::string& word) {
  static constexpr std::array<Rule, 7> kRules{{
      {"icate", "ic"},
      {"ative", ""},
      {"alize", "al"},
      {"iciti", "ic"},
      {"ical", "ic"},
      {"ful", ""},
      {"ness", ""},
  }};
  apply_first(word, kRules, 1);
}

// Single suffixes after a long stem.
void step_4(std::string& word) {
  static constexpr std::array<Rule, 18> kRules{{
      {"al", ""},
      {"ance", ""},
      {"ence", ""},
      {"er", ""},
      {"ic", ""},
      {"able", ""},
      {"ible", ""},
      {"ant", ""},
      {"ement", ""},
      {"ment", ""},
      {"ent", ""},
      {"ou", ""},
      {"ism", ""},
      {"ate", ""},
      {"iti", ""},
      {"ous", ""},
      {"ive", ""},
      {"ize", ""},
  }};
  if (!word.ends_with("ion")) {
    apply_first(word, kRules, 2);
    return;
  }
  const std::string_view stem = std::string_view(word).substr(0, word.size() - 3);
  if (measure(stem) > 1 && (stem.ends_with('s') || stem.ends_with('t'))) word.resize(stem.size());
}

// A final e and a final double l.
void step_5(std::string& word) {
  if (word.ends_with('e')) {
    const std::string_view stem = std::string_view(word).substr(0, word.size() - 1);
    const int stem_measure = measure(stem);
    if (stem_measure > 1 || (stem_measure == 1 && !ends_short(stem))) word.pop_back();
  }
  if (word.ends_with("ll") && measure(std::string_view(word).substr(0, word.size() - 1)) > 1) word.pop_back();
}

}  // namespace

void porter_stem(std::string& word) {
  for (const auto& [form, stem] : kIrregular) {
    if (word == form) {
      word = stem;
      return;
    }
  }
  for (const std::string_view form : kUnchanged) {
    if (word == form) return;
  }
  if (word.size() <= 2) return;
  step_1a(word);
  step_1b(word);
  step_1c(word);
  step_2(word);
  step_3(word);
  step_4(word);
  step_5(word);
}

}  // namespace capstan
