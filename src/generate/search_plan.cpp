// Checks the options once and turns logits into what a search chooses from.
#include "generate/search_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "generate/warpers.h"

namespace capstan::search {
namespace {

void check_ids(const char* key, const std::vector<std::int64_t>& ids, std::int64_t vocab_size,
               std::vector<std::string>& problems) {
  for (const std::int64_t id : ids)
    if (id < 0 || id >= vocab_size)
      problems.push_back(fmt::format("{} has {}, expected an id of the {} of the model", key, id, vocab_size));
}

void check_options(const GenerationConfig& options, std::int64_t vocab_size, const Tokenizer* tokenizer) {
  std::vector<std::string> problems;
  options.check(problems);
  check_ids("decoder_start_token_id", {options.decoder_start_token_id}, vocab_size, problems);
  for (const auto& word : options.bad_words_ids) check_ids("bad_words_ids", word, vocab_size, problems);
  if (options.forced_bos_token_id)
    check_ids("forced_bos_token_id", {*options.forced_bos_token_id}, vocab_size, problems);
  check_ids("forced_eos_token_id", options.forced_eos_token_id, vocab_size, problems);
  check_ids("suppress_tokens", options.suppress_tokens, vocab_size, problems);
  check_ids("begin_suppress_tokens", options.begin_suppress_tokens, vocab_size, problems);
  if (!options.stop_strings.empty() && tokenizer == nullptr)
    problems.push_back("stop_strings needs the model's tokenizer, and there is none here; end texts by token ids");
  if (!problems.empty()) throw ConfigError("generation options: " + join(problems, "; "));
}

}  // namespace

SearchPlan::SearchPlan(const GenerationConfig& options, std::int64_t vocab_size, std::int64_t num_positions,
                       const Tokenizer* tokenizer)
    : options_(options),
      vocab_size_(vocab_size),
      // Every token that is fed takes a position; the last one drawn is never fed.
      max_length_(std::min(options.longest(), num_positions) + 1),
      eos_ids_(options.eos_token_ids()) {
  check_options(options, vocab_size, tokenizer);
  CAPSTAN_ASSERT(max_length_ >= 2);
  processors_ = make_processors(options, max_length_);
  if (!options.stop_strings.empty()) stop_strings_.emplace(*tokenizer, options.stop_strings);
  const std::int64_t least = options.min_new_tokens > 0 ? options.min_new_tokens : options.min_length - 1;
  if (least > max_length_ - 1)
    log_warning(fmt::format("captions shall have at least {} tokens and at most {}: none will end by itself", least,
                            max_length_ - 1));
}

std::size_t SearchPlan::num_continuations() const {
  return (1 + std::max<std::size_t>(1, eos_ids_.size())) * static_cast<std::size_t>(options_.num_beams);
}

bool SearchPlan::is_eos(std::int64_t id) const {
  return std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end();
}

bool SearchPlan::ends(std::span<const std::int64_t> ids) const {
  return is_eos(ids.back()) || (stop_strings_ && stop_strings_->complete(ids));
}

std::size_t SearchPlan::num_best() const {
  if (options_.do_sample) {
    const std::size_t top_k = static_cast<std::size_t>(options_.top_k);
    return std::min(top_k == 0 ? 0 : std::max(top_k, min_tokens_to_keep()), static_cast<std::size_t>(vocab_size_));
  }
  return std::min(has_beams() ? num_continuations() : 1, static_cast<std::size_t>(vocab_size_));
}

void SearchPlan::warp(RowOutcome& outcome) const {
  if (options_.do_sample)
    search::warp({.temperature = static_cast<float>(options_.temperature),
                  .top_p = options_.top_p,
                  .min_p = options_.min_p,
                  .min_tokens_to_keep = min_tokens_to_keep()},
                 outcome.best);
}

void SearchPlan::outcome_of_best(RowOutcome& outcome) const {
  if (has_beams())
    for (Scored& token : outcome.best) token.score = (token.score - outcome.max) - outcome.log_sum;
  warp(outcome);
}

void SearchPlan::outcome_of(std::span<const std::int64_t> ids, std::span<float> logits, RowOutcome& outcome) const {
  thread_local RowMax maxima;
  const bool whole = needs_whole_rows();
  // Beams: the processors see log-probabilities, which their own work leaves unnormalised, as transformers does.
  if (has_beams() && whole) {
    const float max = maxima.scan(logits);
    normalize(logits, max, log_sum_exp(logits, max));
  }
  for (const auto& processor : processors_) (*processor)(ids, logits);
  outcome.max = maxima.scan(logits);
  outcome.log_sum = has_beams() && whole ? 0 : log_sum_exp(logits, outcome.max);
  if (num_best() > 0) {
    best_of(logits, maxima, num_best(), outcome.best);
  } else {
    outcome.best.clear();
    for (std::size_t id = 0; id < logits.size(); ++id)
      outcome.best.push_back({logits[id], static_cast<std::int32_t>(id)});
  }
  if (has_beams() && whole)
    warp(outcome);
  else
    outcome_of_best(outcome);
}

}  // namespace capstan::search
