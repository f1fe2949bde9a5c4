#include "capstan/train/sharded_optimizer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "capstan/core/error.h"

namespace capstan {

std::vector<int> assign_owners(const std::vector<NamedParameter>& parameters, int num_owners) {
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return parameters[a].tensor.numel() > parameters[b].tensor.numel();
  });
  std::vector<int> owners(parameters.size(), 0);
  std::vector<std::int64_t> load(static_cast<std::size_t>(num_owners), 0);
  for (const std::size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    owners[i] = static_cast<int>(least - load.begin());
    *least += parameters[i].tensor.numel();
  }
  return owners;
}

namespace {

class ShardedOptimizer final : public Optimizer {
 public:
  ShardedOptimizer(const OptimizerEntry& entry, const std::vector<NamedParameter>& parameters,
                   const OptimizerOptions& options, std::shared_ptr<const World> world)
      : world_(std::move(world)), owners_(assign_owners(parameters, world_->size())), entry_(entry), options_(options) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      tensors_.push_back(parameters[i].tensor.detach());
      by_owner_.resize(static_cast<std::size_t>(world_->size()));
      by_owner_[static_cast<std::size_t>(owners_[i])].push_back(parameters[i]);
    }
    own_ = entry.make(by_owner_[static_cast<std::size_t>(world_->rank())], options);
  }

  void step(const UpdateControl& control) override {
    own_->step(control);
    broadcast_from_owners(*world_, tensors_, owners_, "the parameters that every process updated");
  }

  // The names and shapes that another process has are known without asking: an optimizer of its parameters has them.
  TensorMap state() const override {
    TensorMap all = own_->state();
    for (int owner = 1; owner < world_->size(); ++owner) {
      const bool mine = world_->rank() == owner;
      const TensorMap theirs =
          mine ? own_->state() : entry_.make(by_owner_[static_cast<std::size_t>(owner)], options_)->state();
      for (const auto& [name, tensor] : theirs) {
        at::Tensor copy = tensor;
        world_->broadcast(copy, owner, "the optimizer's state");
        if (world_->is_main()) all[name] = copy;
      }
    }
    return all;
  }

  void load_state(const TensorMap& tensors) override {
    TensorMap part;
    const TensorMap own = own_->state();
    for (const auto& [name, tensor] : tensors)
      if (own.contains(name)) part[name] = tensor;
    own_->load_state(part);
  }

 private:
  std::shared_ptr<const World> world_;
  std::vector<int> owners_;  // of each parameter
  const OptimizerEntry& entry_;
  OptimizerOptions options_;
  std::vector<at::Tensor> tensors_;
  std::vector<std::vector<NamedParameter>> by_owner_;
  std::unique_ptr<Optimizer> own_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sharded(const OptimizerEntry& entry, const std::vector<NamedParameter>& parameters,
                                        const OptimizerOptions& options, std::shared_ptr<const World> world) {
  return std::make_unique<ShardedOptimizer>(entry, parameters, options, std::move(world));
}

}  // namespace capstan
