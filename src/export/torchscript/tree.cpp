// Modules are built before any method, because a type must know its attributes when methods are compiled into it.
#include "export/torchscript/tree.h"

#include <memory>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan::torchscript {
namespace {

struct Branch {
  std::map<std::string, Branch> children;
  std::map<std::string, at::Tensor> parameters;
};

torch::jit::Module make_module(const Branch& branch, const std::string& name,
                               const std::shared_ptr<torch::jit::CompilationUnit>& unit) {
  torch::jit::Module module(c10::QualifiedName("__torch__.capstan." + name), unit, /*shouldMangle=*/true);
  for (const auto& [key, tensor] : branch.parameters) module.register_parameter(key, tensor.detach(), false);
  for (const auto& [key, child] : branch.children) {
    // A class cannot be called "0": layers take the name of their list.
    const bool is_index = key.find_first_not_of("0123456789") == std::string::npos;
    module.register_module(key, make_module(child, is_index ? name + "_layer" : key, unit));
  }
  return module;
}

}  // namespace

torch::jit::Module build_tree(const TensorMap& state) {
  Branch root;
  for (const auto& [name, tensor] : state) {
    const auto parts = split(name, '.');
    Branch* branch = &root;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) branch = &branch->children[parts[i]];
    branch->parameters.emplace(parts.back(), tensor);
  }
  return make_module(root, "VisionEncoderDecoder", std::make_shared<torch::jit::CompilationUnit>());
}

torch::jit::Module module_at(const torch::jit::Module& root, const std::string& path) {
  torch::jit::Module module = root;
  for (const auto& part : split(path, '.')) module = module.attr(part).toModule();
  return module;
}

void define(torch::jit::Module module, std::string source, const Values& values) {
  std::string filled;
  for (std::size_t at = 0; at < source.size();) {
    if (source[at] != '$') {
      filled += source[at++];
      continue;
    }
    const std::size_t start = at + 1;
    std::size_t end = start;
    while (end < source.size() && (std::isalnum(static_cast<unsigned char>(source[end])) || source[end] == '_')) ++end;
    const auto found = values.find(source.substr(start, end - start));
    CAPSTAN_ASSERT(found != values.end());
    filled += found->second;
    at = end;
  }
  module.define(filled);
}

std::string activation(const std::string& name, const std::string& x) {
  if (name == "gelu") return "torch.gelu(" + x + ")";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "torch.gelu(" + x + ", approximate=\"tanh\")";
  if (name == "relu") return "torch.relu(" + x + ")";
  if (name == "silu") return "torch.silu(" + x + ")";
  if (name == "tanh") return "torch.tanh(" + x + ")";
  throw UnsupportedError("TorchScript export: activation '" + name +
                         "' is not known; known: gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh");
}

}  // namespace capstan::torchscript
