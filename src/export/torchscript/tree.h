// A tree of TorchScript modules that holds a model's parameters under their Hugging Face names, so that
// torch.jit.load(...).state_dict() has the keys of model.safetensors.
#pragma once
#include <torch/csrc/jit/api/module.h>

#include <string>

#include "capstan/checkpoint/safetensors.h"

namespace capstan::torchscript {

// "decoder.transformer.h.0.ln_1.weight" becomes the parameter `weight` of the module reached by that path. The
// tensors are shared, without gradient.
torch::jit::Module build_tree(const TensorMap& state);

// The module at a dotted path below `root`.
torch::jit::Module module_at(const torch::jit::Module& root, const std::string& path);

// Compiles methods into the module: TorchScript source, in which `$name` is replaced by its value. Methods of
// sub-modules must be there before those that call them.
using Values = std::map<std::string, std::string>;
void define(torch::jit::Module module, std::string source, const Values& values);

// Source text of a call of an activation on `x`. UnsupportedError for a name that is not known here.
std::string activation(const std::string& name, const std::string& x);

}  // namespace capstan::torchscript
