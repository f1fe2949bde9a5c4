// What generation options do to the scores of the next token: classes, order and arithmetic of transformers'
// logits processors (generation/logits_process.py).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "capstan/generate/options.h"

namespace capstan::search {

class Processor {
 public:
  virtual ~Processor() = default;
  // `ids` is the text so far with its start token; `scores` are logits, or log-probabilities in a beam search.
  virtual void operator()(std::span<const std::int64_t> ids, std::span<float> scores) const = 0;
};

// Those that `options` ask for, in the order in which they apply. `max_length` counts the start token.
std::vector<std::unique_ptr<const Processor>> make_processors(const GenerationConfig& options, std::int64_t max_length);

}  // namespace capstan::search
