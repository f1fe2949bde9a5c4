// Sums gradients over all ranks while backward is still computing the rest of them.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capstan/parallel/world.h"

namespace capstan {

enum class GradientCompression {
  kNone,
  kBf16,  // half the bytes between ranks; every addition rounds to 8 bits of mantissa
};

struct ReducerOptions {
  std::int64_t bucket_bytes = std::int64_t{25} << 20;       // gradients that travel together
  std::int64_t first_bucket_bytes = std::int64_t{1} << 20;  // the first is small, so that talking starts early
  // Gradients are views of the buckets: one copy of all gradients less. They stay views when they are zeroed in place;
  // setting them to undefined costs a copy in every step.
  bool gradient_as_bucket_view = true;
  GradientCompression compression = GradientCompression::kNone;
};

// After backward of a synchronising micro-batch every parameter's grad() is the sum over ranks of what they accumulated
// since it was last zero, the same bits everywhere, never divided: the caller scales the loss by global counts. With
// two ranks that is the exact sum of both; with more, additions happen in an order that only depends on the shapes of
// the parameters and the number of ranks, so a resumed run repeats it.
//
//   reducer.prepare(last_micro_batch);                  // before forward
//   reducer.backward([&] { loss.backward(); });
//
// Every parameter that requires gradients must get one in every synchronising micro-batch, on every rank; what never
// gets one has to be frozen. In a world of size 1 nothing happens but the call in backward().
class GradientReducer {
 public:
  // All ranks give the same parameters in the same order; those without requires_grad are left out. `names` are for
  // errors: none, or one per parameter. ParallelError when the ranks' parameters differ in number or shape.
  GradientReducer(const World& world, const std::vector<at::Tensor>& parameters, ReducerOptions options = {},
                  const std::vector<std::string>& names = {});
  GradientReducer(GradientReducer&&) noexcept;
  GradientReducer& operator=(GradientReducer&&) noexcept;
  ~GradientReducer();

  // Whether the next backward() sums over ranks: false for all but the last micro-batch of an accumulated step.
  void prepare(bool synchronize);
  // Runs `work`, which calls backward once. ParallelError when a rank was lost meanwhile or a parameter got no
  // gradient.
  void backward(const std::function<void()>& work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
