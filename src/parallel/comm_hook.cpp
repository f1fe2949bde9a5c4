#include "parallel/comm_hook.h"

#include <ATen/ATen.h>

#include <torch/csrc/distributed/c10d/Work.hpp>

namespace capstan {

void BucketSums::clear() {
  const std::lock_guard lock(mutex_);
  sums_.clear();
  reason_.clear();
}

void BucketSums::add(const c10::intrusive_ptr<c10::ivalue::Future>& sum) {
  const std::lock_guard lock(mutex_);
  sums_.push_back(sum);
}

void BucketSums::refused(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (reason_.empty()) reason_ = reason;
}

std::string BucketSums::failure() const {
  const std::lock_guard lock(mutex_);
  if (!reason_.empty()) return reason_;
  for (const auto& sum : sums_) {
    if (!sum->completed() || !sum->hasError()) continue;
    try {
      std::rethrow_exception(sum->exception_ptr());
    } catch (const std::exception& error) {
      return reason_of(error);
    }
  }
  return {};
}

SumHook::SumHook(std::shared_ptr<ProcessGroups> groups, GradientCompression compression,
                 std::shared_ptr<BucketSums> sums)
    : groups_(std::move(groups)), compression_(compression), sums_(std::move(sums)) {}

c10::intrusive_ptr<c10::ivalue::Future> SumHook::runHook(c10d::GradBucket& bucket) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> sent = {bucket.getBufferRef()};
  if (compression_ == GradientCompression::kBf16 && sent[0].scalar_type() == at::kFloat) {
    sent[0] = sent[0].to(at::kBFloat16);
    buckets_[sent[0].data_ptr()] = bucket.getBufferRef();
  }
  try {
    const auto sum = groups_->group->allreduce(sent)->getFuture();
    sums_->add(sum);
    return sum;
  } catch (const std::exception& error) {
    sums_->refused(reason_of(error));
    throw;
  }
}

// Runs where backward was called, in the order of the buckets, so the sums are widened by the threads that compute.
at::Tensor SumHook::parseHookResult(const c10::IValue& result) {
  const at::NoGradGuard no_grad;
  const at::Tensor sum = result.isTensorList() ? result.toTensorVector().at(0) : result.toTensor();
  const auto found = buckets_.find(sum.data_ptr());
  if (found == buckets_.end()) return sum;
  at::Tensor bucket = found->second;
  buckets_.erase(found);
  bucket.copy_(sum);
  return bucket;
}

}  // namespace capstan
