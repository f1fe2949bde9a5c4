// Greedy search and sampling: every text goes its own way (transformers' _sample).
#include <algorithm>
#include <numeric>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "generate/search.h"
#include "generate/warpers.h"

namespace capstan::search {
namespace {

class SampleSearch final : public Search {
 public:
  SampleSearch(const SearchPlan& plan, std::uint64_t seed) : plan_(plan) {
    const auto count = static_cast<std::size_t>(plan.rows_per_picture());
    for (std::size_t i = 0; i < count; ++i) {
      texts_.push_back({.ids = {}, .random = Random(stream_seed(seed, "sequence", i))});
      texts_.back().ids.reserve(static_cast<std::size_t>(plan.max_length()));
      texts_.back().ids.push_back(plan.options().decoder_start_token_id);
    }
    running_.resize(count);
    std::iota(running_.begin(), running_.end(), std::size_t{0});
    parents_.reserve(count);
  }

  std::int64_t num_rows() const override { return static_cast<std::int64_t>(running_.size()); }
  std::span<const std::int64_t> ids(std::int64_t row) const override {
    return texts_[running_[static_cast<std::size_t>(row)]].ids;
  }
  std::span<const std::int64_t> parents() const override { return parents_; }

  void advance(std::span<RowOutcome> outcomes) override {
    CAPSTAN_ASSERT(outcomes.size() == running_.size());
    parents_.clear();
    std::size_t going = 0;
    for (std::size_t row = 0; row < running_.size(); ++row) {
      if (extend(texts_[running_[row]], outcomes[row])) continue;
      parents_.push_back(static_cast<std::int64_t>(row));
      running_[going++] = running_[row];
    }
    running_.resize(going);
  }

  std::vector<Candidate> finish() override {
    std::vector<Candidate> candidates;
    for (const Text& text : texts_) candidates.push_back({caption_ids(plan_, text.ids), text.score});
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    return candidates;
  }

 private:
  struct Text {
    std::vector<std::int64_t> ids;
    double score = 0;
    Random random;
  };

  // Whether the text ends with the new token.
  bool extend(Text& text, const RowOutcome& outcome) {
    const bool samples = plan_.options().do_sample;
    const std::size_t chosen = samples ? draw(outcome.best, text.random) : 0;
    if (chosen >= outcome.best.size()) return true;  // the options allow no token here
    const float temperature = samples ? static_cast<float>(plan_.options().temperature) : 1;
    const Scored& token = outcome.best[chosen];
    text.score += static_cast<double>((token.score * temperature - outcome.max) - outcome.log_sum);
    text.ids.push_back(token.id);
    return plan_.ends(text.ids) || static_cast<std::int64_t>(text.ids.size()) == plan_.max_length();
  }

  const SearchPlan& plan_;
  std::vector<Text> texts_;
  std::vector<std::size_t> running_;  // texts in the order of their rows
  std::vector<std::int64_t> parents_;
};

}  // namespace

std::unique_ptr<Search> make_sample_search(const SearchPlan& plan, std::uint64_t seed) {
  return std::make_unique<SampleSearch>(plan, seed);
}

std::unique_ptr<Search> make_search(const SearchPlan& plan, std::uint64_t seed) {
  return plan.has_beams() ? make_beam_search(plan, seed) : make_sample_search(plan, seed);
}

std::vector<std::int64_t> caption_ids(const SearchPlan& plan, std::span<const std::int64_t> ids) {
  const auto end = std::find_if(ids.begin() + 1, ids.end(), [&](std::int64_t id) { return plan.is_eos(id); });
  return {ids.begin() + 1, end};
}

}  // namespace capstan::search
