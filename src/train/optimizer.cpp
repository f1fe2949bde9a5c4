#include "capstan/train/optimizer.h"

#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {

#define CAPSTAN_OPTIMIZER(name) OptimizerEntry name##_optimizer();
#include "train/optimizers.def"
#undef CAPSTAN_OPTIMIZER

const Registry<OptimizerEntry>& optimizers() {
  static const Registry<OptimizerEntry> registry = [] {
    Registry<OptimizerEntry> list("optimizer");
#define CAPSTAN_OPTIMIZER(name) list.add(name##_optimizer());
#include "train/optimizers.def"
#undef CAPSTAN_OPTIMIZER
    return list;
  }();
  return registry;
}

void copy_state(const TensorMap& own, const TensorMap& tensors) {
  std::vector<std::string> problems;
  for (const auto& [name, tensor] : own) {
    const auto found = tensors.find(name);
    if (found == tensors.end())
      problems.push_back(name + " is missing");
    else if (found->second.sizes() != tensor.sizes())
      problems.push_back(fmt::format("{} has another shape than its parameter", name));
  }
  for (const auto& [name, tensor] : tensors)
    if (!own.contains(name)) problems.push_back(name + " belongs to no parameter of the model");
  if (problems.size() > 5) problems.resize(5);
  if (!problems.empty())
    throw CheckpointError("optimizer state does not fit the model: " + join(problems, "; ") +
                          ". Was another part of the model frozen then?");
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : own) tensor.copy_(tensors.at(name));
}

}  // namespace capstan
