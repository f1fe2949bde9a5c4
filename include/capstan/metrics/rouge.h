// ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum with the results of Google's rouge_score 0.1.2.
//
//   RougeScorer scorer(/*use_stemmer=*/true);
//   double f = scorer.score("a dog runs", "the dog is running").rouge_l.fmeasure;
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

// Fractions from 0 to 1.
struct RougeScore {
  double precision = 0;
  double recall = 0;
  double fmeasure = 0;
};

struct RougeScores {
  RougeScore rouge1;
  RougeScore rouge2;
  RougeScore rouge_l;     // longest common subsequence of the whole texts
  RougeScore rouge_lsum;  // union of common subsequences of their lines
};

// A text tokenised once, for scoring many times. Its numbers mean something only to the scorer that made it.
struct RougeText {
  std::vector<std::int32_t> tokens;
  std::vector<std::size_t> line_ends;  // one past the last token of each line that has tokens
  std::vector<std::int32_t> unigrams;  // `tokens`, sorted
  std::vector<std::uint64_t> bigrams;  // neighbours packed into one number, sorted
};

// Tokens are maximal runs of [a-z0-9] of the text in lower case (as Python lowers it), those longer than three
// characters stemmed when asked. Bytes that are not valid UTF-8 separate tokens. A text without tokens scores 0.
// Remembers every distinct word it has seen, so memory grows with the vocabulary and repeated words cost one look-up.
// Not thread-safe: one scorer per thread.
class RougeScorer {
 public:
  explicit RougeScorer(bool use_stemmer);
  ~RougeScorer();
  RougeScorer(RougeScorer&&) noexcept;
  RougeScorer& operator=(RougeScorer&&) noexcept;

  RougeText prepare(std::string_view text);

  RougeScores score(std::string_view prediction, std::string_view reference);
  RougeScores score(const RougeText& prediction, const RougeText& reference);

  // The best reference of each score on its own, by F-measure; the first of equals. DataError without references.
  RougeScores score_multi(std::string_view prediction, std::span<const std::string> references);
  RougeScores score_multi(const RougeText& prediction, std::span<const RougeText> references);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace capstan
