// The generation options made ready for the searches of one model, and what they make of a row of logits.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "capstan/generate/options.h"
#include "capstan/text/tokenizer.h"
#include "generate/processors.h"
#include "generate/row_math.h"
#include "generate/stop_strings.h"

namespace capstan::search {

// The tokens that may follow one text.
struct RowOutcome {
  std::vector<Scored> best;  // what the search chooses from: log-probabilities for beams, otherwise logits over
                             // temperature; the best first, unless all tokens may be drawn
  float max = 0;             // for log-probabilities of chosen tokens: the largest logit
  float log_sum = 0;         // and log(sum(exp(logit - max)))
};

class SearchPlan {
 public:
  // ConfigError for options that contradict each other or do not fit the vocabulary, and for stop_strings without a
  // tokenizer.
  SearchPlan(const GenerationConfig& options, std::int64_t vocab_size, std::int64_t num_positions,
             const Tokenizer* tokenizer);

  const GenerationConfig& options() const { return options_; }
  bool has_beams() const { return options_.num_beams > 1; }
  std::int64_t rows_per_picture() const { return options_.texts_per_picture(); }
  // Start token included.
  std::int64_t max_length() const { return max_length_; }
  std::int64_t vocab_size() const { return vocab_size_; }
  // How many continuations a beam search looks at: enough that num_beams of them do not end the text.
  std::size_t num_continuations() const;
  bool is_eos(std::int64_t id) const;
  // Whether the last token of `ids` ends the text.
  bool ends(std::span<const std::int64_t> ids) const;
  bool has_stop_strings() const { return stop_strings_.has_value(); }

  // Whether a row's best num_best() logits say everything; otherwise the processors need to see all.
  bool needs_whole_rows() const { return !processors_.empty() || num_best() == 0; }
  // 0: all of them.
  std::size_t num_best() const;
  // `logits` of the token after `ids`; they are overwritten.
  void outcome_of(std::span<const std::int64_t> ids, std::span<float> logits, RowOutcome& outcome) const;
  // The same when outcome.best holds the num_best() largest logits and max and log_sum are of the whole row.
  void outcome_of_best(RowOutcome& outcome) const;

 private:
  std::size_t min_tokens_to_keep() const { return has_beams() ? eos_ids_.size() + 1 : 1; }
  void warp(RowOutcome& outcome) const;

  GenerationConfig options_;
  std::int64_t vocab_size_, max_length_;
  std::vector<std::int64_t> eos_ids_;
  std::vector<std::unique_ptr<const Processor>> processors_;
  std::optional<StopStrings> stop_strings_;
};

}  // namespace capstan::search
