// What happens to a full bucket of gradients. c10d's reducer divides by the number of ranks only when it has no hook;
// with this one gradients are summed and nothing else.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <unordered_map>
#include <vector>

#include "capstan/parallel/reducer.h"
#include "parallel/groups.h"

namespace capstan {

// The sums under way in one backward, so that a failure of the network can be told from one of the model.
class BucketSums {
 public:
  void clear();
  void add(const c10::intrusive_ptr<c10::ivalue::Future>& sum);
  void refused(const std::string& reason);  // a sum that could not even start
  std::string failure() const;              // "" when none failed

 private:
  mutable std::mutex mutex_;
  std::vector<c10::intrusive_ptr<c10::ivalue::Future>> sums_;
  std::string reason_;
};

class SumHook final : public c10d::CommHookInterface {
 public:
  SumHook(std::shared_ptr<ProcessGroups> groups, GradientCompression compression, std::shared_ptr<BucketSums> sums);
  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override;
  at::Tensor parseHookResult(const c10::IValue& result) override;

 private:
  std::shared_ptr<ProcessGroups> groups_;
  GradientCompression compression_;
  std::shared_ptr<BucketSums> sums_;
  std::unordered_map<const void*, at::Tensor> buckets_;  // data of a compressed bucket -> where its sum goes
};

}  // namespace capstan
