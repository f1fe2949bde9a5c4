// Passes over one row of scores, a number for every token of the vocabulary: the cost of a search beside the model's.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace capstan::search {

struct Scored {
  float score;
  std::int32_t id;
};

// The largest number of each block of kBlock and of the whole row; best_of looks only into the blocks that matter.
class RowMax {
 public:
  static constexpr std::size_t kBlock = 256;
  float scan(std::span<const float> row);
  float max() const { return max_; }
  std::span<const float> blocks() const { return blocks_; }

 private:
  float max_ = 0;
  std::vector<float> blocks_;
};

// log(sum(exp(x - max))) for max at least every x.
float log_sum_exp(std::span<const float> row, float max);

// x := (x - max) - log_sum: with the two above, log_softmax.
void normalize(std::span<float> row, float max, float log_sum);

// The k largest of `row`, the largest first and of equals the one with the smaller id; `maxima` is of this row. Always
// min(k, row.size()) of them: ids of -infinity fill up what is not a number.
void best_of(std::span<const float> row, const RowMax& maxima, std::size_t k, std::vector<Scored>& best);

// Orders by score; of equals the smaller id comes first.
inline bool ahead(const Scored& a, const Scored& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); }

}  // namespace capstan::search
