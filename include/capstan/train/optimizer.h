// What turns gradients into new weights. State is kept and saved under parameter names, never by position.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/registry.h"

namespace torch::nn {
class Module;
}

namespace capstan {

struct NamedParameter {
  std::string name;
  at::Tensor tensor;
  bool decay = true;  // whether weight decay applies
};

// Trainable parameters in the module's order. Decay leaves out what Hugging Face's Trainer leaves out:
// biases and the parameters of normalisation layers.
std::vector<NamedParameter> trainable_parameters(const torch::nn::Module& module);

struct OptimizerOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update from the parameters' gradients; a parameter without gradient is left as it is.
  virtual void step(double learning_rate) = 0;
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

}  // namespace capstan
