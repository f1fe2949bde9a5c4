// Gradients summed over ranks against those of one process with the whole batch.
#include "capstan/parallel/reducer.h"

#include <mutex>

#include "support/catch.h"
#include "support/parallel_model.h"
#include "unit/parallel/ranks.h"

using namespace capstan;
using testing::ParallelModel;
using testing::run_ranks;

namespace {

// The gradients that plain autograd gives for the whole batch at once.
std::vector<at::Tensor> expected_gradients(int step) {
  ParallelModel model;
  model.loss(step, 0, ParallelModel::kRows).backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : model.parameters()) gradients.push_back(parameter.grad());
  return gradients;
}

double largest_difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double largest = a.size() == b.size() ? 0 : 1e9;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, (a[i] - b[i]).abs().max().item<double>());
  return largest;
}

std::vector<at::Tensor> gradients_of(ParallelModel& model) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : model.parameters()) gradients.push_back(parameter.grad().clone());
  return gradients;
}

struct Case {
  int size, accumulation;
  GradientCompression compression;
  bool views, keep_zeroed;
  double tolerance;
};

// The largest difference to plain autograd over three steps, over all ranks.
double worst_of(const Case& tried, std::vector<std::string>& errors) {
  std::mutex mutex;
  double worst = 0;
  std::vector<std::vector<at::Tensor>> expected;
  for (int step = 0; step < 3; ++step) expected.push_back(expected_gradients(step));
  errors = run_ranks(tried.size, [&](World& world) {
    ParallelModel model;
    ReducerOptions options;
    options.bucket_bytes = 4096;
    options.first_bucket_bytes = 1024;
    options.gradient_as_bucket_view = tried.views;
    options.compression = tried.compression;
    GradientReducer reducer(world, model.parameters(), options);
    const std::int64_t share = ParallelModel::kRows / world.size() / tried.accumulation;
    for (int step = 0; step < 3; ++step) {
      model.zero_grad(/*set_to_none=*/!tried.keep_zeroed);
      for (int i = 0; i < tried.accumulation; ++i) {
        const std::int64_t begin = (world.rank() * tried.accumulation + i) * share;
        reducer.prepare(i + 1 == tried.accumulation);
        const at::Tensor loss = model.loss(step, begin, begin + share);
        reducer.backward([&] { loss.backward(); });
      }
      const double difference = largest_difference(gradients_of(model), expected[static_cast<std::size_t>(step)]);
      const std::lock_guard lock(mutex);
      worst = std::max(worst, difference);
    }
  });
  return worst;
}

}  // namespace

TEST_CASE("summed gradients equal those of one process with the whole batch", "[parallel][unit]") {
  const auto plain = GradientCompression::kNone;
  const Case tried = GENERATE_COPY(Case{1, 1, plain, true, true, 1e-6}, Case{2, 1, plain, true, true, 1e-6},
                                   Case{4, 1, plain, true, true, 1e-6}, Case{2, 2, plain, true, true, 1e-6},
                                   Case{2, 4, plain, true, false, 1e-6}, Case{4, 2, plain, false, true, 1e-6},
                                   Case{2, 1, plain, false, false, 1e-6});
  std::vector<std::string> errors;
  CHECK(worst_of(tried, errors) <= tried.tolerance);
  for (const std::string& error : errors) CHECK(error == "");
}

// Rounding to bfloat16 costs up to 2^-9 of a value, once where a rank sends it and once in each sum; what a rank sends
// may be larger than the sum, so twice the largest sum is allowed for each of them.
TEST_CASE("gradients compressed to bfloat16 are off by their rounding only", "[parallel][unit]") {
  const int size = GENERATE(2, 4);
  const Case tried{size, 1, GradientCompression::kBf16, true, true, 0};
  std::vector<std::string> errors;
  const double worst = worst_of(tried, errors);
  CHECK(worst > 0);  // it was compressed
  double largest = 0;
  for (int step = 0; step < 3; ++step)
    for (const at::Tensor& gradient : expected_gradients(step))
      largest = std::max(largest, gradient.abs().max().item<double>());
  CHECK(worst <= 2 * largest * size / 512);
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("steps that only accumulate send nothing", "[parallel][unit]") {
  const auto errors = run_ranks(2, [&](World& world) {
    ParallelModel model, alone;
    GradientReducer reducer(world, model.parameters());
    reducer.prepare(false);
    reducer.backward([&] { model.loss(0, world.rank(), world.rank() + 1).backward(); });
    alone.loss(0, world.rank(), world.rank() + 1).backward();
    if (largest_difference(gradients_of(model), gradients_of(alone)) != 0) throw Error("not the rank's own gradients");
  });
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("ranks with different parameters are refused", "[parallel][unit]") {
  const auto errors = run_ranks(2, [&](World& world) {
    ParallelModel model(world.rank() == 0 ? 64 : 32);
    GradientReducer reducer(world, model.parameters());
  });
  for (const std::string& error : errors) CHECK_THAT(error, ContainsSubstring("the ranks train different parameters"));
}

TEST_CASE("a parameter that gets no gradient is named", "[parallel][unit]") {
  const auto errors = run_ranks(
      2,
      [&](World& world) {
        ParallelModel model;
        std::vector<at::Tensor> parameters = model.parameters();
        std::vector<std::string> names;
        for (const auto& item : model.named_parameters()) names.push_back(item.key());
        parameters.push_back(at::ones({3}).requires_grad_());
        names.push_back("never.used");
        GradientReducer reducer(world, parameters, {}, names);
        reducer.prepare(true);
        reducer.backward([&] { model.loss(0, 0, 4).backward(); });
      },
      5);
  for (const std::string& error : errors) CHECK_THAT(error, ContainsSubstring("Without one: never.used."));
}

TEST_CASE("an error of the model passes through backward as it is", "[parallel][unit]") {
  const auto errors = run_ranks(2, [&](World& world) {
    ParallelModel model;
    GradientReducer reducer(world, model.parameters());
    reducer.prepare(true);
    reducer.backward([&] { throw DataError("no such picture"); });
  });
  for (const std::string& error : errors) CHECK(error == "no such picture");
}

TEST_CASE("a rank that is lost in backward ends the others with a message", "[parallel][unit]") {
  const auto errors = run_ranks(3, [&](World& world) {
    ParallelModel model;
    ReducerOptions options;
    options.bucket_bytes = options.first_bucket_bytes = 1024;
    GradientReducer reducer(world, model.parameters(), options);
    reducer.prepare(true);
    if (world.rank() == 1) throw DataError("gone");
    reducer.backward([&] { model.loss(0, 0, 4).backward(); });
  });
  for (int rank : {0, 2})
    CHECK_THAT(errors[rank], ContainsSubstring("of 3 waited") && ContainsSubstring("the sum of the gradients"));
}
