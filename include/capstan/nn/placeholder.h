// Parameters without memory, for models whose every value is about to be replaced by a file's.
#pragma once
#include <ATen/core/Tensor.h>

namespace capstan {

// While one lives, new_weight() of this thread returns placeholders.
class PlaceholderWeights {
 public:
  PlaceholderWeights();
  ~PlaceholderWeights();
  PlaceholderWeights(const PlaceholderWeights&) = delete;
  PlaceholderWeights& operator=(const PlaceholderWeights&) = delete;

 private:
  bool before_;
};

// What a module registers as a parameter: float32 zeros, or a placeholder of that shape whose elements all share one
// number. A placeholder must be given values with set_data() before anything computes with it.
at::Tensor new_weight(at::IntArrayRef sizes);

bool is_placeholder(const at::Tensor& tensor);

}  // namespace capstan
