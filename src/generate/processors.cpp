// One class for each option; the list at the end is their order.
#include "generate/processors.h"

#include <algorithm>
#include <limits>

namespace capstan::search {
namespace {

using Ids = std::span<const std::int64_t>;
using Scores = std::span<float>;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// End tokens may lie outside the vocabulary: a way to say that nothing ends a text.
void forbid(const std::vector<std::int64_t>& tokens, Scores scores) {
  for (const std::int64_t id : tokens)
    if (static_cast<std::size_t>(id) < scores.size()) scores[static_cast<std::size_t>(id)] = kNever;
}

void force(const std::vector<std::int64_t>& tokens, Scores scores) {
  std::fill(scores.begin(), scores.end(), kNever);
  for (const std::int64_t id : tokens)
    if (static_cast<std::size_t>(id) < scores.size()) scores[static_cast<std::size_t>(id)] = 0;
}

bool ends_with(Ids ids, Ids tail) {
  return ids.size() >= tail.size() && std::equal(tail.begin(), tail.end(), ids.end() - std::ptrdiff_t(tail.size()));
}

class RepetitionPenalty final : public Processor {
 public:
  explicit RepetitionPenalty(double penalty) : penalty_(static_cast<float>(penalty)) {}
  void operator()(Ids ids, Scores scores) const override {
    // All are read before one is written: a token that occurs twice is penalised once.
    thread_local std::vector<float> penalised;
    penalised.clear();
    for (const std::int64_t id : ids) {
      const float score = scores[static_cast<std::size_t>(id)];
      penalised.push_back(score < 0 ? score * penalty_ : score / penalty_);
    }
    for (std::size_t i = 0; i < ids.size(); ++i) scores[static_cast<std::size_t>(ids[i])] = penalised[i];
  }

 private:
  float penalty_;
};

class NoRepeatNGram final : public Processor {
 public:
  explicit NoRepeatNGram(int size) : size_(static_cast<std::size_t>(size)) {}
  void operator()(Ids ids, Scores scores) const override {
    if (ids.size() < size_) return;
    const Ids begun = ids.last(size_ - 1);
    for (std::size_t i = 0; i + size_ <= ids.size(); ++i)
      if (std::equal(begun.begin(), begun.end(), ids.begin() + std::ptrdiff_t(i)))
        scores[static_cast<std::size_t>(ids[i + size_ - 1])] = kNever;
  }

 private:
  std::size_t size_;
};

class NoBadWords final : public Processor {
 public:
  NoBadWords(std::vector<std::vector<std::int64_t>> words, const std::vector<std::int64_t>& eos_ids)
      : words_(std::move(words)) {
    // A text must be able to end.
    std::erase_if(words_, [&](const auto& word) {
      return word.size() == 1 && std::find(eos_ids.begin(), eos_ids.end(), word.front()) != eos_ids.end();
    });
  }
  void operator()(Ids ids, Scores scores) const override {
    for (const auto& word : words_)
      if (ends_with(ids, Ids(word).first(word.size() - 1))) scores[static_cast<std::size_t>(word.back())] = kNever;
  }

 private:
  std::vector<std::vector<std::int64_t>> words_;
};

class MinLength final : public Processor {
 public:
  MinLength(std::int64_t min_length, std::vector<std::int64_t> eos_ids)
      : min_length_(static_cast<std::size_t>(min_length)), eos_ids_(std::move(eos_ids)) {}
  void operator()(Ids ids, Scores scores) const override {
    if (ids.size() < min_length_) forbid(eos_ids_, scores);
  }

 private:
  std::size_t min_length_;
  std::vector<std::int64_t> eos_ids_;
};

// The tokens of which one stands where the text has `length` tokens.
class ForcedTokens final : public Processor {
 public:
  ForcedTokens(std::int64_t length, std::vector<std::int64_t> tokens)
      : length_(static_cast<std::size_t>(length)), tokens_(std::move(tokens)) {}
  void operator()(Ids ids, Scores scores) const override {
    if (ids.size() == length_) force(tokens_, scores);
  }

 private:
  std::size_t length_;
  std::vector<std::int64_t> tokens_;
};

class SuppressTokens final : public Processor {
 public:
  explicit SuppressTokens(std::vector<std::int64_t> tokens) : tokens_(std::move(tokens)) {}
  void operator()(Ids, Scores scores) const override { forbid(tokens_, scores); }

 private:
  std::vector<std::int64_t> tokens_;
};

class SuppressTokensAtBegin final : public Processor {
 public:
  SuppressTokensAtBegin(std::vector<std::int64_t> tokens, std::size_t begin)
      : tokens_(std::move(tokens)), begin_(begin) {}
  void operator()(Ids ids, Scores scores) const override {
    if (ids.size() == begin_) forbid(tokens_, scores);
  }

 private:
  std::vector<std::int64_t> tokens_;
  std::size_t begin_;
};

}  // namespace

std::vector<std::unique_ptr<const Processor>> make_processors(const GenerationConfig& options,
                                                              std::int64_t max_length) {
  const auto eos_ids = options.eos_token_ids();
  const bool forced_bos = options.forced_bos_token_id.has_value();
  const std::int64_t min_length = options.min_new_tokens > 0 ? options.min_new_tokens + 1 : options.min_length;
  std::vector<std::unique_ptr<const Processor>> list;
  if (options.repetition_penalty != 1.0)
    list.push_back(std::make_unique<RepetitionPenalty>(options.repetition_penalty));
  if (options.no_repeat_ngram_size > 0) list.push_back(std::make_unique<NoRepeatNGram>(options.no_repeat_ngram_size));
  if (!options.bad_words_ids.empty()) list.push_back(std::make_unique<NoBadWords>(options.bad_words_ids, eos_ids));
  if (min_length > 0) list.push_back(std::make_unique<MinLength>(min_length, eos_ids));
  if (forced_bos)
    list.push_back(std::make_unique<ForcedTokens>(1, std::vector<std::int64_t>{*options.forced_bos_token_id}));
  if (!options.forced_eos_token_id.empty())
    list.push_back(std::make_unique<ForcedTokens>(max_length - 1, options.forced_eos_token_id));
  if (!options.suppress_tokens.empty()) list.push_back(std::make_unique<SuppressTokens>(options.suppress_tokens));
  // A forced first token is not the caption's own, so that the second is where it begins.
  if (!options.begin_suppress_tokens.empty())
    list.push_back(std::make_unique<SuppressTokensAtBegin>(options.begin_suppress_tokens, forced_bos ? 2 : 1));
  return list;
}

}  // namespace capstan::search
