// Walks down the dotted path and makes the levels that are missing.
#include "capstan/nn/scope.h"

#include "capstan/core/strings.h"

namespace capstan {

torch::nn::Module& scope(torch::nn::Module& root, std::string_view path) {
  torch::nn::Module* current = &root;
  for (const std::string& level : split(path, '.')) {
    const auto children = current->named_children();
    const auto* child = children.find(level);
    current = child != nullptr ? child->get()
                               : current->register_module(level, std::make_shared<torch::nn::Module>(level)).get();
  }
  return *current;
}

}  // namespace capstan
