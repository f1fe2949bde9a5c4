// Token embeddings of a table that is the head over the vocabulary too.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

namespace capstan {

// As at::embedding, where the table's gradient comes from the head anyway: the few rows of gradient of the looked-up
// tokens are added to it in place, instead of a table [V, D] full of zeros that is added as a whole. Works with
// whatever collects gradients after backward. On a GPU, or where no gradient is wanted, at::embedding itself.
class TiedEmbedding {
 public:
  at::Tensor forward(const at::Tensor& table_VD, const at::Tensor& ids);  // -> [..., D]

 private:
  struct Rows;
  class Lookup;
  std::shared_ptr<Rows> rows_;  // waiting for the gradient of the head
};

}  // namespace capstan
