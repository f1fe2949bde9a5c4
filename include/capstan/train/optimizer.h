// What turns gradients into new weights. State is kept and saved under parameter names, never by position.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/registry.h"

namespace capstan {

struct NamedParameter {
  std::string name;
  at::Tensor tensor;
  double lr_scale = 1;  // share of the update's learning rate
  double weight_decay = 0;
};

struct OptimizerOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

// What is only known when an update is due. Scalars may lie on the device, so that nothing waits for them.
struct UpdateControl {
  double learning_rate = 0;
  at::Tensor gradient_divisor{};  // float32 scalar that gradients are divided by; undefined: they are as they are
  at::Tensor skip{};              // float32 scalar, 1: leave everything as it was; undefined: go ahead
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update from the parameters' gradients, which it may change; a parameter without gradient is left as it is.
  virtual void step(const UpdateControl& control) = 0;
  // Tensors "<kind>.<parameter name>" that share memory with the optimizer.
  virtual TensorMap state() const = 0;
  // Copies in what state() gave. CheckpointError lists what is missing, unknown or of another shape.
  virtual void load_state(const TensorMap& tensors) = 0;
};

struct OptimizerEntry {
  std::string name;
  std::string summary;
  std::function<std::unique_ptr<Optimizer>(std::vector<NamedParameter>, const OptimizerOptions&)> make;
};
const Registry<OptimizerEntry>& optimizers();

// Copies `tensors` into those of `own` that have their names. CheckpointError unless both have the same names and
// shapes.
void copy_state(const TensorMap& own, const TensorMap& tensors);

}  // namespace capstan
