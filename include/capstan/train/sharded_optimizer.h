// ZeRO stage 1 (Rajbhandari et al., 2020): every process keeps the optimizer's state of its share of the parameters,
// updates them, and sends them to the others.
#pragma once
#include <memory>
#include <vector>

#include "capstan/parallel/world.h"
#include "capstan/train/optimizer.h"

namespace capstan {

// Owner of each parameter: the largest first, each to the process that has least so far. The same on every process.
std::vector<int> assign_owners(const std::vector<NamedParameter>& parameters, int num_owners);

// Equal to the plain optimizer, bit for bit. state() collects the whole state on the main process (elsewhere it is what
// this process owns), so all must call it; load_state() takes the whole.
std::unique_ptr<Optimizer> make_sharded(const OptimizerEntry& entry, const std::vector<NamedParameter>& parameters,
                                        const OptimizerOptions& options, std::shared_ptr<const World> world);

}  // namespace capstan
