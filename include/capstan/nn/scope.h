// Parameter names with more levels than the code has classes.
#pragma once
#include <torch/nn/module.h>

#include <string_view>

namespace capstan {

// The module at `path` ("encoder.layer") below `root`. Levels that are not there yet are made as plain modules,
// so that one C++ class can register its parts under the nested names of published weights:
//   scope(*this, "attention.output").register_module("dense", dense);
torch::nn::Module& scope(torch::nn::Module& root, std::string_view path);

}  // namespace capstan
