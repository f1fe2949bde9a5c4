// The search for the captions of one picture: greedy, by samples, or with beams. It owns the texts under way; the
// generator runs the model for the texts of all searches together.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "capstan/generate/generator.h"
#include "generate/search_plan.h"

namespace capstan::search {

class Search {
 public:
  virtual ~Search() = default;
  // Texts under way; 0 when the search is done.
  virtual std::int64_t num_rows() const = 0;
  // One of them, start token included. The last token is the one to be fed.
  virtual std::span<const std::int64_t> ids(std::int64_t row) const = 0;
  // Takes what may follow each text, and goes on. May change `outcomes`.
  virtual void advance(std::span<RowOutcome> outcomes) = 0;
  // After advance: which of the rows before it each row goes on from.
  virtual std::span<const std::int64_t> parents() const = 0;
  // When done: num_return_sequences captions, best first.
  virtual std::vector<Candidate> finish() = 0;
};

// The plan must outlive the search. `seed` is the picture's own.
std::unique_ptr<Search> make_search(const SearchPlan& plan, std::uint64_t seed);
std::unique_ptr<Search> make_sample_search(const SearchPlan& plan, std::uint64_t seed);
std::unique_ptr<Search> make_beam_search(const SearchPlan& plan, std::uint64_t seed);

// The caption in a text: without start token, up to the first end token.
std::vector<std::int64_t> caption_ids(const SearchPlan& plan, std::span<const std::int64_t> ids);

}  // namespace capstan::search
