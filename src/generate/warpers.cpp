// Sampling without a sorted vocabulary.
#include "generate/warpers.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace capstan::search {
namespace {

float largest_score(const std::vector<Scored>& tokens) {
  float max = -std::numeric_limits<float>::infinity();
  for (const Scored& token : tokens) max = std::max(max, token.score);
  return max;
}

double weight(const Scored& token, float max) { return std::exp(static_cast<double>(token.score - max)); }

void sort_first(std::vector<Scored>& tokens, std::size_t from, std::size_t count) {
  const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(from);
  const auto last = tokens.begin() + static_cast<std::ptrdiff_t>(count);
  if (last != tokens.end()) std::nth_element(first, last, tokens.end(), ahead);
  std::sort(first, last, ahead);
}

// Keeps a token when those before it have less than top_p of the probability. Only as many are sorted as are kept,
// and at most four times as many looked at.
void keep_top_p(const WarpOptions& options, std::vector<Scored>& tokens) {
  const float max = largest_score(tokens);
  double total = 0, before = 0;
  for (const Scored& token : tokens) total += weight(token, max);
  std::size_t kept = 0, sorted = 0;
  for (; kept < tokens.size(); ++kept) {
    if (kept == sorted) {
      sorted = std::min(tokens.size(), std::max<std::size_t>(64, 4 * sorted));
      sort_first(tokens, kept, sorted);
    }
    if (kept >= options.min_tokens_to_keep && before >= options.top_p * total) break;
    before += weight(tokens[kept], max);
  }
  tokens.resize(kept);
}

void keep_min_p(const WarpOptions& options, std::vector<Scored>& tokens) {
  const float max = largest_score(tokens);
  const auto middle = std::partition(tokens.begin(), tokens.end(),
                                     [&](const Scored& token) { return weight(token, max) >= options.min_p; });
  const auto likely = static_cast<std::size_t>(middle - tokens.begin());
  const std::size_t kept = std::min(tokens.size(), std::max(likely, options.min_tokens_to_keep));
  if (kept > likely) sort_first(tokens, likely, kept);
  tokens.resize(kept);
}

}  // namespace

void warp(const WarpOptions& options, std::vector<Scored>& tokens) {
  std::erase_if(tokens, [](const Scored& token) { return !(token.score > -std::numeric_limits<float>::infinity()); });
  if (options.temperature != 1)
    for (Scored& token : tokens) token.score /= options.temperature;
  if (options.top_p < 1) keep_top_p(options, tokens);
  if (options.min_p > 0) keep_min_p(options, tokens);
}

std::size_t draw(const std::vector<Scored>& tokens, Random& random) {
  const float max = largest_score(tokens);
  if (!(max > -std::numeric_limits<float>::infinity())) return tokens.size();
  double total = 0;
  for (const Scored& token : tokens) total += weight(token, max);
  double left = random.uniform() * total;
  std::size_t last = tokens.size();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double share = weight(tokens[i], max);
    if (share <= 0) continue;
    last = i;
    left -= share;
    if (left < 0) break;
  }
  return last;
}

}  // namespace capstan::search
