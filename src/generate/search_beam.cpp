// Beam search and beam sampling, step by step what transformers' _beam_search does for one picture alone.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "generate/search.h"
#include "generate/warpers.h"

namespace capstan::search {
namespace {

// Stands for -infinity where sums must stay finite.
constexpr float kVeryUnlikely = -1e9f;

// The k best places of a few scores, chosen with the same standard algorithms as torch.topk on a CPU, so that of equal
// scores (there are many beside kVeryUnlikely) the same ones are taken.
class TopPlaces {
 public:
  const std::vector<std::pair<float, std::size_t>>& operator()(std::span<const float> scores, std::size_t k) {
    places_.clear();
    for (std::size_t i = 0; i < scores.size(); ++i) places_.emplace_back(scores[i], i);
    const auto ahead = [](const auto& a, const auto& b) {
      return (std::isnan(a.first) && !std::isnan(b.first)) || a.first > b.first;
    };
    const auto last = places_.begin() + static_cast<std::ptrdiff_t>(k);
    if (k * 64 <= places_.size()) {
      std::partial_sort(places_.begin(), last, places_.end(), ahead);
    } else {
      std::nth_element(places_.begin(), last - 1, places_.end(), ahead);
      std::sort(places_.begin(), last - 1, ahead);
    }
    places_.resize(k);
    return places_;
  }

 private:
  std::vector<std::pair<float, std::size_t>> places_;
};

struct Beam {
  std::vector<std::int64_t> ids;  // start token included
  float score = 0;                // sum of log-probabilities
};

struct Hypothesis {
  std::vector<std::int64_t> ids;
  float score = kVeryUnlikely;  // over length^length_penalty
  bool finished = false;
};

struct Continuation {
  float score;
  std::size_t beam;
  std::int64_t id;
  bool ends;
};

class BeamSearch final : public Search {
 public:
  BeamSearch(const SearchPlan& plan, std::uint64_t seed)
      : plan_(plan),
        num_beams_(static_cast<std::size_t>(plan.options().num_beams)),
        random_(stream_seed(seed, "beams")),
        running_(num_beams_),
        next_running_(num_beams_),
        pool_(num_beams_),
        next_pool_(num_beams_) {
    const auto longest = static_cast<std::size_t>(plan.max_length());
    for (std::size_t i = 0; i < num_beams_; ++i) {
      for (auto* ids : {&running_[i].ids, &next_running_[i].ids, &pool_[i].ids, &next_pool_[i].ids}) {
        ids->reserve(longest);
        ids->push_back(plan.options().decoder_start_token_id);
      }
      // All beams are the same at first; one of them speaks for all.
      running_[i].score = i == 0 ? 0 : kVeryUnlikely;
    }
    parents_.resize(num_beams_);
    std::iota(parents_.begin(), parents_.end(), std::int64_t{0});
  }

  std::int64_t num_rows() const override { return done_ ? 0 : static_cast<std::int64_t>(num_beams_); }
  std::span<const std::int64_t> ids(std::int64_t row) const override {
    return running_[static_cast<std::size_t>(row)].ids;
  }
  std::span<const std::int64_t> parents() const override {
    return std::span(parents_).first(static_cast<std::size_t>(num_rows()));
  }

  void advance(std::span<RowOutcome> outcomes) override {
    CAPSTAN_ASSERT(outcomes.size() == num_beams_ && !done_);
    for (std::size_t beam = 0; beam < num_beams_; ++beam)
      for (Scored& token : outcomes[beam].best) token.score += running_[beam].score;
    continuations_.clear();
    plan_.options().do_sample ? draw_continuations(outcomes) : take_best_continuations(outcomes);
    for (Continuation& continuation : continuations_) continuation.ends = ends(continuation);
    update_pool();
    update_running();
    ++length_;
    done_ = is_done();
  }

  std::vector<Candidate> finish() override {
    std::vector<Candidate> candidates;
    for (int i = 0; i < plan_.options().num_return_sequences; ++i) {
      const Hypothesis& hypothesis = pool_[static_cast<std::size_t>(i)];
      candidates.push_back({caption_ids(plan_, hypothesis.ids), static_cast<double>(hypothesis.score)});
    }
    return candidates;
  }

 private:
  void take_best_continuations(std::span<const RowOutcome> outcomes);
  void draw_continuations(std::span<RowOutcome> outcomes);
  void fill_up(std::span<RowOutcome> outcomes);
  bool ends(const Continuation& continuation);
  void extend(std::vector<std::int64_t>& ids, const Continuation& continuation) const;
  void update_pool();
  void update_running();
  bool is_done() const;

  const SearchPlan& plan_;
  const std::size_t num_beams_;
  Random random_;
  std::int64_t length_ = 1;  // of the texts under way, start token included
  bool done_ = false;
  std::vector<Beam> running_, next_running_;
  std::vector<Hypothesis> pool_, next_pool_;  // the best complete texts so far, best first
  std::vector<Continuation> continuations_;   // of this step, in the order they were chosen
  std::vector<std::int64_t> parents_;
  std::vector<std::int64_t> text_;
  std::vector<float> scores_;
  TopPlaces top_places_;
};

// The best of all beams together; of equals the one of the earlier beam and the smaller id.
void BeamSearch::take_best_continuations(std::span<const RowOutcome> outcomes) {
  for (std::size_t beam = 0; beam < num_beams_; ++beam)
    for (const Scored& token : outcomes[beam].best) continuations_.push_back({token.score, beam, token.id, false});
  const std::size_t count = std::min(plan_.num_continuations(), continuations_.size());
  const auto last = continuations_.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(continuations_.begin(), last, continuations_.end(),
                    [](const Continuation& a, const Continuation& b) {
                      if (a.score != b.score) return a.score > b.score;
                      return a.beam != b.beam ? a.beam < b.beam : a.id < b.id;
                    });
  continuations_.resize(count);
}

// Drawn one after the other without replacement, with probabilities over all beams together.
void BeamSearch::draw_continuations(std::span<RowOutcome> outcomes) {
  float max = -std::numeric_limits<float>::infinity();
  for (const RowOutcome& outcome : outcomes)
    for (const Scored& token : outcome.best) max = std::max(max, token.score);
  const auto weight = [&](float score) { return std::exp(static_cast<double>(score - max)); };
  while (continuations_.size() < plan_.num_continuations()) {
    double total = 0;
    for (const RowOutcome& outcome : outcomes)
      for (const Scored& token : outcome.best) total += weight(token.score);
    if (!(total > 0)) break;
    double left = random_.uniform() * total;
    std::size_t chosen_beam = 0;
    Scored* chosen = nullptr;
    for (std::size_t beam = 0; beam < num_beams_ && left >= 0; ++beam) {
      for (Scored& token : outcomes[beam].best) {
        const double share = weight(token.score);
        if (share <= 0) continue;
        chosen = &token;
        chosen_beam = beam;
        left -= share;
        if (left < 0) break;
      }
    }
    continuations_.push_back({chosen->score, chosen_beam, chosen->id, false});
    // The last token of the list takes the place of the one that is gone.
    *chosen = outcomes[chosen_beam].best.back();
    outcomes[chosen_beam].best.pop_back();
  }
  fill_up(outcomes);
}

// Where fewer tokens have any probability than are needed, the least unlikely of the others stand in.
void BeamSearch::fill_up(std::span<RowOutcome> outcomes) {
  while (continuations_.size() < plan_.num_continuations()) {
    std::size_t best_beam = num_beams_;
    Scored* best = nullptr;
    for (std::size_t beam = 0; beam < num_beams_; ++beam)
      for (Scored& token : outcomes[beam].best)
        if (best == nullptr || token.score > best->score) best = &token, best_beam = beam;
    if (best == nullptr) {
      const std::int64_t id = plan_.is_eos(0) && plan_.vocab_size() > 1 ? 1 : 0;
      continuations_.push_back({-std::numeric_limits<float>::infinity(), 0, id, false});
      continue;
    }
    continuations_.push_back({best->score, best_beam, best->id, false});
    *best = outcomes[best_beam].best.back();
    outcomes[best_beam].best.pop_back();
  }
}

void BeamSearch::extend(std::vector<std::int64_t>& ids, const Continuation& continuation) const {
  const auto& beam = running_[continuation.beam].ids;
  ids.assign(beam.begin(), beam.end());
  ids.push_back(continuation.id);
}

bool BeamSearch::ends(const Continuation& continuation) {
  if (length_ + 1 == plan_.max_length() || plan_.is_eos(continuation.id)) return true;
  if (!plan_.has_stop_strings()) return false;
  extend(text_, continuation);
  return plan_.ends(text_);
}

// Of the first num_beams continuations those that are complete compete with the pool. The others are in the list too,
// far behind, as they are in transformers.
void BeamSearch::update_pool() {
  const float penalty = static_cast<float>(std::pow(static_cast<double>(length_), plan_.options().length_penalty));
  scores_.clear();
  for (const Hypothesis& hypothesis : pool_) scores_.push_back(hypothesis.score);
  for (std::size_t i = 0; i < continuations_.size(); ++i) {
    const bool complete = continuations_[i].ends && i < num_beams_;
    scores_.push_back(continuations_[i].score / penalty + (complete ? 0.0f : kVeryUnlikely));
  }
  std::size_t i = 0;
  for (const auto& [score, place] : top_places_(scores_, num_beams_)) {
    Hypothesis& next = next_pool_[i++];
    next.score = score;
    if (place < num_beams_) {
      next.ids.assign(pool_[place].ids.begin(), pool_[place].ids.end());
      next.finished = pool_[place].finished;
    } else {
      const std::size_t chosen = place - num_beams_;
      extend(next.ids, continuations_[chosen]);
      next.finished = continuations_[chosen].ends && chosen < num_beams_;
    }
  }
  std::swap(pool_, next_pool_);
}

void BeamSearch::update_running() {
  scores_.clear();
  for (const Continuation& continuation : continuations_)
    scores_.push_back(continuation.score + (continuation.ends ? kVeryUnlikely : 0.0f));
  std::size_t i = 0;
  for (const auto& [score, place] : top_places_(scores_, num_beams_)) {
    extend(next_running_[i].ids, continuations_[place]);
    next_running_[i].score = score;
    parents_[i++] = static_cast<std::int64_t>(continuations_[place].beam);
  }
  std::swap(running_, next_running_);
}

// With early_stopping=true as soon as the pool is full; otherwise when the best text under way could not get ahead of
// the worst in the pool, by its length now or, with "never", by the length that suits it best.
bool BeamSearch::is_done() const {
  const GenerationConfig& options = plan_.options();
  const bool all_end = std::all_of(continuations_.begin(), continuations_.end(), [](const auto& c) { return c.ends; });
  const bool full = std::all_of(pool_.begin(), pool_.end(), [](const auto& text) { return text.finished; });
  const bool longest = options.early_stopping == "never" && options.length_penalty > 0;
  const auto length = static_cast<double>((longest ? plan_.max_length() : length_) - 1);
  const float best = running_.front().score / static_cast<float>(std::pow(length, options.length_penalty));
  float worst = std::numeric_limits<float>::infinity();
  for (const Hypothesis& text : pool_) worst = std::min(worst, text.score);
  const bool can_improve = std::any_of(pool_.begin(), pool_.end(), [&](const Hypothesis& text) {
    return best > (text.finished ? worst : kVeryUnlikely);
  });
  return all_end || !can_improve || (full && options.early_stopping == "true");
}

}  // namespace

std::unique_ptr<Search> make_beam_search(const SearchPlan& plan, std::uint64_t seed) {
  return std::make_unique<BeamSearch>(plan, seed);
}

}  // namespace capstan::search
