// Against at::embedding, whose gradient is a whole table.
#include "capstan/nn/tied_embedding.h"

#include <ATen/ATen.h>

#include "support/test_pch.h"

using namespace capstan;

namespace {

struct Table {
  at::Tensor weight, head;
  const at::Tensor ids = at::tensor({3, 1, 3, 0, 3, 2}, at::kLong).view({2, 3});
  Table() {
    at::manual_seed(11);
    weight = at::randn({6, 4}).requires_grad_(true);
    head = at::randn({2, 3, 4});
  }
  // Uses the table on both sides, as tied models do.
  at::Tensor loss(const at::Tensor& embedded) const {
    return (at::linear(embedded.tanh(), weight).square().mean() + (embedded * head).sum());
  }
};

}  // namespace

TEST_CASE("rows of gradient added in place give the gradient of the whole table", "[nn][tied_embedding]") {
  const Table ours, theirs;
  TiedEmbedding embedding;
  for (int pass = 0; pass < 3; ++pass) {  // gradients of several passes add up
    ours.loss(embedding.forward(ours.weight, ours.ids)).backward();
    theirs.loss(at::embedding(theirs.weight, theirs.ids)).backward();
    CHECK(at::allclose(ours.weight.grad(), theirs.weight.grad(), 1e-5, 1e-6));
    CHECK_FALSE(ours.weight.grad().is_sparse());
  }
}

TEST_CASE("two look-ups in one backward both count", "[nn][tied_embedding]") {
  const Table ours, theirs;
  TiedEmbedding embedding;
  const at::Tensor other = at::tensor({5, 3}, at::kLong);
  (ours.loss(embedding.forward(ours.weight, ours.ids)) + embedding.forward(ours.weight, other).sum()).backward();
  (theirs.loss(at::embedding(theirs.weight, theirs.ids)) + at::embedding(theirs.weight, other).sum()).backward();
  CHECK(at::allclose(ours.weight.grad(), theirs.weight.grad(), 1e-5, 1e-6));
}

TEST_CASE("a loss without the head has the gradient of the looked-up rows alone", "[nn][tied_embedding]") {
  const Table ours, theirs;
  TiedEmbedding embedding;
  (embedding.forward(ours.weight, ours.ids) * ours.head).sum().backward();
  (at::embedding(theirs.weight, theirs.ids) * theirs.head).sum().backward();
  CHECK(at::allclose(ours.weight.grad(), theirs.weight.grad(), 1e-6, 1e-6));
}

TEST_CASE("rows of a backward that failed are forgotten", "[nn][tied_embedding]") {
  const Table ours, theirs;
  TiedEmbedding embedding;
  // The table's other user fails after the rows have arrived: it was made first, so its turn comes last.
  const at::Tensor failing = ours.weight * 1;
  failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("out of memory"); });
  const at::Tensor loss = embedding.forward(ours.weight, ours.ids).sum() + failing.sum();
  CHECK_THROWS(loss.backward());
  ours.loss(embedding.forward(ours.weight, ours.ids)).backward();
  theirs.loss(at::embedding(theirs.weight, theirs.ids)).backward();
  CHECK(at::allclose(ours.weight.grad(), theirs.weight.grad(), 1e-5, 1e-6));
}
