// ROUGE: tokens as numbers, n-grams as sorted lists, common subsequences as bits.
#include "capstan/metrics/rouge.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/metrics/porter.h"
#include "metrics/lcs.h"

namespace capstan {
namespace {

// The lower-case letter or digit of an ASCII byte; 0 for every byte that separates tokens.
constexpr std::array<char, 256> kTokenByte = [] {
  std::array<char, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  for (int c = 'a'; c <= 'z'; ++c) {
    table[static_cast<std::size_t>(c)] = static_cast<char>(c);
    table[static_cast<std::size_t>(c - 'a' + 'A')] = static_cast<char>(c);
  }
  return table;
}();

// The only characters outside ASCII whose lower case holds an ASCII letter: the Kelvin sign U+212A is k, and the
// dotted capital I U+0130 is i followed by a combining dot, which separates.
constexpr std::string_view kKelvin = "\xE2\x84\xAA";
constexpr std::string_view kDottedI = "\xC4\xB0";

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Numbers = std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>>;

RougeScore ratio(std::size_t hits, std::size_t num_prediction, std::size_t num_reference) {
  if (num_prediction == 0 || num_reference == 0) return {};
  RougeScore score;
  score.precision = static_cast<double>(hits) / static_cast<double>(num_prediction);
  score.recall = static_cast<double>(hits) / static_cast<double>(num_reference);
  const double sum = score.precision + score.recall;
  if (sum > 0) score.fmeasure = 2 * score.precision * score.recall / sum;
  return score;
}

// Size of the intersection of two sorted lists, counting repetitions.
template <class Value>
std::size_t overlap(const std::vector<Value>& left, const std::vector<Value>& right) {
  std::size_t hits = 0;
  auto a = left.begin();
  auto b = right.begin();
  while (a != left.end() && b != right.end()) {
    if (*a < *b) {
      ++a;
    } else if (*b < *a) {
      ++b;
    } else {
      ++hits;
      ++a;
      ++b;
    }
  }
  return hits;
}

template <class Value>
RougeScore ngram_score(const std::vector<Value>& prediction, const std::vector<Value>& reference) {
  return ratio(overlap(prediction, reference), prediction.size(), reference.size());
}

void keep_better(RougeScore& best, const RougeScore& score) {
  if (score.fmeasure > best.fmeasure) best = score;
}

void keep_better(RougeScores& best, const RougeScores& scores) {
  keep_better(best.rouge1, scores.rouge1);
  keep_better(best.rouge2, scores.rouge2);
  keep_better(best.rouge_l, scores.rouge_l);
  keep_better(best.rouge_lsum, scores.rouge_lsum);
}

void require_references(bool any) {
  if (!any) throw DataError("a prediction was given no reference to score it against; every prediction needs one.");
}

}  // namespace

struct RougeScorer::State {
  bool use_stemmer = true;
  Numbers number_of_word;  // words as written; the same number for words of one stem
  Numbers number_of_stem;
  std::int32_t num_tokens = 0;
  std::string word;
  std::string stem;
  RougeText prediction;
  RougeText reference;
  Lcs text_lcs;
  Lcs line_lcs;
  std::vector<char> marked;
  std::vector<std::int32_t> marked_tokens;

  void prepare(std::string_view text, RougeText& out);
  void end_word(RougeText& out);
  std::int32_t number(const std::string& written);
  RougeScores against(const RougeText& prediction_text, const RougeText& reference_text);
  std::size_t union_hits(const RougeText& prediction_text, const RougeText& reference_text);
};

void RougeScorer::State::prepare(std::string_view text, RougeText& out) {
  out.tokens.clear();
  out.line_ends.clear();
  const auto end_line = [&] {
    end_word(out);
    const std::size_t begin = out.line_ends.empty() ? 0 : out.line_ends.back();
    if (out.tokens.size() > begin) out.line_ends.push_back(out.tokens.size());
  };
  word.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char lower = kTokenByte[static_cast<unsigned char>(text[i])];
    if (lower != 0) {
      word.push_back(lower);
    } else if (text[i] == '\n') {
      end_line();
    } else if (text.substr(i).starts_with(kKelvin)) {
      word.push_back('k');
      i += kKelvin.size() - 1;
    } else {
      if (text.substr(i).starts_with(kDottedI)) word.push_back('i');
      end_word(out);
    }
  }
  end_line();

  out.unigrams = out.tokens;
  std::sort(out.unigrams.begin(), out.unigrams.end());
  out.bigrams.clear();
  for (std::size_t i = 1; i < out.tokens.size(); ++i) {
    out.bigrams.push_back(static_cast<std::uint64_t>(out.tokens[i - 1]) << 32 |
                          static_cast<std::uint64_t>(out.tokens[i]));
  }
  std::sort(out.bigrams.begin(), out.bigrams.end());
}

void RougeScorer::State::end_word(RougeText& out) {
  if (word.empty()) return;
  out.tokens.push_back(number(word));
  word.clear();
}

std::int32_t RougeScorer::State::number(const std::string& written) {
  if (const auto found = number_of_word.find(written); found != number_of_word.end()) return found->second;
  stem = written;
  if (use_stemmer && stem.size() > 3) porter_stem(stem);
  const auto [entry, is_new] = number_of_stem.try_emplace(stem, num_tokens);
  if (is_new) ++num_tokens;
  return number_of_word.emplace(written, entry->second).first->second;
}

// The columns of text_lcs are the prediction's tokens already.
RougeScores RougeScorer::State::against(const RougeText& prediction_text, const RougeText& reference_text) {
  const std::size_t num_prediction = prediction_text.tokens.size();
  const std::size_t num_reference = reference_text.tokens.size();
  RougeScores scores;
  if (num_prediction == 0 || num_reference == 0) return scores;
  scores.rouge1 = ngram_score(prediction_text.unigrams, reference_text.unigrams);
  scores.rouge2 = ngram_score(prediction_text.bigrams, reference_text.bigrams);
  scores.rouge_l = ratio(text_lcs.length(reference_text.tokens), num_prediction, num_reference);
  const bool one_line = prediction_text.line_ends.size() == 1 && reference_text.line_ends.size() == 1;
  scores.rouge_lsum =
      one_line ? scores.rouge_l : ratio(union_hits(prediction_text, reference_text), num_prediction, num_reference);
  return scores;
}

// Tokens of the reference that a common subsequence of its line with some line of the prediction covers, none counted
// more often than the prediction has it.
std::size_t RougeScorer::State::union_hits(const RougeText& prediction_text, const RougeText& reference_text) {
  const std::span<const std::int32_t> columns(prediction_text.tokens);
  const std::span<const std::int32_t> rows(reference_text.tokens);
  marked.assign(rows.size(), 0);
  std::size_t column = 0;
  for (const std::size_t column_end : prediction_text.line_ends) {
    line_lcs.set_columns(columns.subspan(column, column_end - column));
    column = column_end;
    std::size_t row = 0;
    for (const std::size_t row_end : reference_text.line_ends) {
      line_lcs.mark_rows(rows.subspan(row, row_end - row), std::span(marked).subspan(row, row_end - row));
      row = row_end;
    }
  }
  marked_tokens.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (marked[i] != 0) marked_tokens.push_back(rows[i]);
  }
  std::sort(marked_tokens.begin(), marked_tokens.end());
  return overlap(marked_tokens, prediction_text.unigrams);
}

RougeScorer::RougeScorer(bool use_stemmer) : state_(std::make_unique<State>()) { state_->use_stemmer = use_stemmer; }
RougeScorer::~RougeScorer() = default;
RougeScorer::RougeScorer(RougeScorer&&) noexcept = default;
RougeScorer& RougeScorer::operator=(RougeScorer&&) noexcept = default;

RougeText RougeScorer::prepare(std::string_view text) {
  RougeText result;
  state_->prepare(text, result);
  return result;
}

RougeScores RougeScorer::score(const RougeText& prediction, const RougeText& reference) {
  state_->text_lcs.set_columns(prediction.tokens);
  return state_->against(prediction, reference);
}

RougeScores RougeScorer::score(std::string_view prediction, std::string_view reference) {
  state_->prepare(prediction, state_->prediction);
  state_->prepare(reference, state_->reference);
  return score(state_->prediction, state_->reference);
}

RougeScores RougeScorer::score_multi(std::string_view prediction, std::span<const std::string> references) {
  require_references(!references.empty());
  state_->prepare(prediction, state_->prediction);
  state_->text_lcs.set_columns(state_->prediction.tokens);
  RougeScores best;
  for (const std::string& reference : references) {
    state_->prepare(reference, state_->reference);
    keep_better(best, state_->against(state_->prediction, state_->reference));
  }
  return best;
}

RougeScores RougeScorer::score_multi(const RougeText& prediction, std::span<const RougeText> references) {
  require_references(!references.empty());
  state_->text_lcs.set_columns(prediction.tokens);
  RougeScores best;
  for (const RougeText& reference : references) keep_better(best, state_->against(prediction, reference));
  return best;
}

}  // namespace capstan
