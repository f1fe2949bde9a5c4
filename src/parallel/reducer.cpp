#include "capstan/parallel/reducer.h"

#include <fmt/format.h>

#include <algorithm>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "capstan/core/strings.h"
#include "parallel/comm_hook.h"
#include "parallel/groups.h"

namespace capstan {
namespace {

constexpr const char* kWhat = "the sum of the gradients over all ranks";
constexpr std::size_t kMostNamed = 5;

std::size_t bytes(std::int64_t count) { return static_cast<std::size_t>(std::max<std::int64_t>(count, 1)); }

}  // namespace

struct GradientReducer::Impl {
  std::shared_ptr<ProcessGroups> groups;
  std::shared_ptr<BucketSums> sums = std::make_shared<BucketSums>();
  std::vector<at::Tensor> parameters;  // last layer first, about the order in which backward comes to them
  std::vector<std::string> names;
  std::unique_ptr<c10d::Reducer> reducer;
  bool synchronize = false;

  void make_reducer(const ReducerOptions& options);
  std::string without_gradient() const;
};

// c10d collects the real order of the first backward and rebuilds its buckets by it. A resumed run would then sum its
// first step in other buckets than the run that was not interrupted, so the buckets are settled here, before any step.
void GradientReducer::Impl::make_reducer(const ReducerOptions& options) {
  const std::vector<std::size_t> limits = {bytes(options.first_bucket_bytes), bytes(options.bucket_bytes)};
  auto [buckets, bucket_limits] = c10d::compute_bucket_assignment_by_size(parameters, limits);
  reducer = std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets), groups->group, std::vector<bool>(parameters.size(), false), options.bucket_bytes,
      /*find_unused_parameters=*/false, options.gradient_as_bucket_view, std::unordered_map<size_t, std::string>(),
      options.first_bucket_bytes, /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      std::vector<std::int64_t>());
  reducer->register_comm_hook(std::make_unique<SumHook>(groups, options.compression, sums));
  reducer->push_rebuilt_params_for_all_indices();
  reducer->rebuild_buckets();
}

std::string GradientReducer::Impl::without_gradient() const {
  std::vector<std::string> missing;
  std::size_t count = 0;
  for (std::size_t i = parameters.size(); i-- > 0;) {
    if (parameters[i].grad().defined()) continue;
    if (++count <= kMostNamed)
      missing.push_back(names.empty() ? fmt::format("number {}", parameters.size() - 1 - i) : names[i]);
  }
  if (count > kMostNamed) missing.push_back(fmt::format("{} more", count - kMostNamed));
  return missing.empty() ? "one that an earlier micro-batch did reach" : join(missing, ", ");
}

GradientReducer::GradientReducer(const World& world, const std::vector<at::Tensor>& parameters, ReducerOptions options,
                                 const std::vector<std::string>& names)
    : impl_(std::make_unique<Impl>()) {
  CAPSTAN_ASSERT(names.empty() || names.size() == parameters.size());
  impl_->groups = world.groups();
  if (!impl_->groups) return;
  for (std::size_t i = parameters.size(); i-- > 0;) {
    if (!parameters[i].requires_grad()) continue;
    impl_->parameters.push_back(parameters[i]);
    if (!names.empty()) impl_->names.push_back(names[i]);
  }
  if (impl_->parameters.empty()) return;
  std::string shapes;
  for (const at::Tensor& parameter : impl_->parameters)
    shapes += c10::str(parameter.scalar_type(), parameter.sizes(), ";");
  for (const std::string& other : world.gather(shapes, "the shapes of the parameters"))
    if (other != shapes) {
      throw ParallelError(fmt::format(
          "rank {} of {}: the ranks train different parameters (another number, order, type or shape). Start every "
          "rank with the same program and configuration.",
          world.rank(), world.size()));
    }
  impl_->groups->guarded("the buckets of the gradients", [&] { impl_->make_reducer(options); });
}

GradientReducer::GradientReducer(GradientReducer&&) noexcept = default;
GradientReducer& GradientReducer::operator=(GradientReducer&&) noexcept = default;
GradientReducer::~GradientReducer() = default;

void GradientReducer::prepare(bool synchronize) {
  impl_->synchronize = synchronize;
  if (!impl_->reducer || !synchronize) return;
  impl_->groups->require_whole(kWhat);
  impl_->sums->clear();
  impl_->reducer->prepare_for_forward();
  impl_->reducer->prepare_for_backward({});
}

void GradientReducer::backward(const std::function<void()>& work) {
  if (!impl_->reducer) return work();
  const Clock::time_point start = Clock::now();
  try {
    work();
  } catch (const std::exception&) {
    const std::string reason = impl_->sums->failure();
    if (reason.empty()) {  // the model's own error; sums that have begun may never end, and nobody shall wait for them
      if (impl_->synchronize) impl_->groups->broken = true;
      throw;
    }
    impl_->groups->fail(kWhat, start, reason);
  }
  if (!impl_->synchronize) return;
  impl_->synchronize = false;
  try {
    impl_->reducer->check_finalized();
  } catch (const c10::Error& error) {
    impl_->groups->broken = true;
    throw ParallelError(fmt::format(
        "rank {} of {}: not every trained parameter got a gradient in this step, so the sum over ranks cannot end. "
        "Without one: {}. Freeze what the loss does not reach.",
        impl_->groups->environment.rank, impl_->groups->environment.size, impl_->without_gradient()));
  }
}

}  // namespace capstan
