// What sampling leaves of the tokens that may follow a text: temperature, top_p and min_p of transformers, on the
// tokens that matter instead of the whole vocabulary. (top_k is how many they are.)
#pragma once
#include <cstddef>
#include <vector>

#include "capstan/core/random.h"
#include "generate/row_math.h"

namespace capstan::search {

struct WarpOptions {
  float temperature = 1;
  double top_p = 1;
  double min_p = 0;
  std::size_t min_tokens_to_keep = 1;
};

// Divides the scores by the temperature and removes tokens; those of -infinity always. What is left is in no order.
void warp(const WarpOptions& options, std::vector<Scored>& tokens);

// The place of one token, drawn by probabilities proportional to exp(score); tokens.size() when all of them are 0.
std::size_t draw(const std::vector<Scored>& tokens, Random& random);

}  // namespace capstan::search
