// The block runs twice. The first run builds a graph only to learn whether anything inside it needs gradients, and
// drops it at once; the node that stands in for it repeats the run in backward.
#include "capstan/nn/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/engine.h>

#include <stdexcept>

#include "capstan/core/torch_random.h"

namespace capstan {
namespace {

using Block = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Random numbers as they were at `then` while it lives.
class Replay {
 public:
  Replay(const RandomState& then, c10::Device device) : now_(device) { then.restore(); }
  ~Replay() { now_.restore(); }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

 private:
  RandomState now_;
};

// Autocast of one device type as it stood when this was made.
struct AutocastState {
  explicit AutocastState(c10::DeviceType type)
      : device(type), enabled(at::autocast::is_autocast_enabled(type)), dtype(at::autocast::get_autocast_dtype(type)) {}
  void set() const {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
  }
  c10::DeviceType device;
  bool enabled;
  at::ScalarType dtype;
};

class AutocastReplay {
 public:
  explicit AutocastReplay(const AutocastState& then) : now_(then.device) { then.set(); }
  ~AutocastReplay() { now_.set(); }
  AutocastReplay(const AutocastReplay&) = delete;
  AutocastReplay& operator=(const AutocastReplay&) = delete;

 private:
  AutocastState now_;
};

// Autocast keeps its casts of leaves, here the block's inputs too, until its region ends: the memory to be saved.
class NoCastCache {
 public:
  NoCastCache() : before_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~NoCastCache() { at::autocast::set_autocast_cache_enabled(before_); }
  NoCastCache(const NoCastCache&) = delete;
  NoCastCache& operator=(const NoCastCache&) = delete;

 private:
  bool before_;
};

c10::Device device_of(const std::vector<at::Tensor>& inputs) {
  for (const at::Tensor& input : inputs)
    if (input.defined() && !input.is_cpu()) return input.device();
  return c10::kCPU;
}

// The same values as leaves of a graph of their own.
std::vector<at::Tensor> as_leaves(const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs)
    leaves.push_back(input.defined() ? input.detach().set_requires_grad(input.requires_grad()) : at::Tensor());
  return leaves;
}

// What backward needs besides the inputs; a capsule, because a node's context holds nothing else of our own types.
struct Recipe : torch::CustomClassHolder {
  Recipe(Block block_, c10::Device device_)
      : block(std::move(block_)), device(device_), random(device_), autocast(device_.type()) {}
  Block block;
  c10::Device device;
  RandomState random;
  AutocastState autocast;
  std::vector<bool> defined;  // which inputs there are; the node knows those only
  at::Tensor output;          // of the first run, handed to the node
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  // The anchor needs gradients whatever the inputs do, so that backward reaches the block's parameters.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& /*anchor*/,
                            at::TensorList inputs, const c10::intrusive_ptr<Recipe>& recipe) {
    context->save_for_backward(inputs.vec());
    context->saved_data["recipe"] = c10::IValue::make_capsule(recipe);
    return std::move(recipe->output);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    if (!torch::autograd::Engine::get_default_engine().is_checkpoint_valid())
      throw std::logic_error("recompute: gradients of chosen inputs are not supported; call backward()");
    const auto capsule = context->saved_data.at("recipe").toCapsule();
    const auto& recipe = static_cast<const Recipe&>(*capsule);
    const std::vector<at::Tensor> leaves = as_leaves(context->get_saved_variables());
    std::vector<at::Tensor> inputs;
    for (std::size_t i = 0, next = 0; i < recipe.defined.size(); ++i)
      inputs.push_back(recipe.defined[i] ? leaves[next++] : at::Tensor());
    at::Tensor output;
    {
      const Replay random(recipe.random, recipe.device);
      const AutocastReplay autocast(recipe.autocast);
      const NoCastCache no_cache;
      const at::AutoGradMode with_graph(true);
      output = recipe.block(inputs);
    }
    torch::autograd::backward({output}, {gradients[0]});
    torch::autograd::variable_list result{at::Tensor()};  // the anchor's
    for (const at::Tensor& leaf : leaves) result.push_back(leaf.grad());
    result.emplace_back();  // the recipe's
    return result;
  }
};

}  // namespace

at::Tensor recompute(const Block& block, const std::vector<at::Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  const auto recipe = c10::make_intrusive<Recipe>(block, device_of(inputs));
  {
    const NoCastCache no_cache;
    recipe->output = block(as_leaves(inputs));
  }
  if (!recipe->output.requires_grad()) return recipe->output;  // nothing in here learns: no graph, nothing to repeat
  recipe->output = recipe->output.detach();
  std::vector<at::Tensor> present;
  for (const at::Tensor& input : inputs) {
    recipe->defined.push_back(input.defined());
    if (input.defined()) present.push_back(input);
  }
  const at::Tensor anchor = at::empty({0}).set_requires_grad(true);
  return Recompute::apply(anchor, at::TensorList(present), recipe);
}

}  // namespace capstan
