// Gradient checkpointing: a block's activations are computed again in backward instead of being kept.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace capstan {

// Runs block(inputs) without keeping what is inside it, and runs it a second time during backward, with the random
// number generators (the CPU's and that of the inputs' device) and autocast as they stood the first time, so that the
// gradients are the same bit for bit. Parameters that the block uses collect their gradients inside that second run;
// this needs backward() (torch::autograd::grad with chosen inputs throws). An input may be undefined or need no
// gradient. Without grad mode, or where nothing in the block needs gradients, it is a plain call.
// The block gives one tensor, must stay valid until backward, and must do the same both times.
// As torch.utils.checkpoint(use_reentrant=True, preserve_rng_state=True), arXiv:1604.06174.
at::Tensor recompute(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& block,
                     const std::vector<at::Tensor>& inputs);

}  // namespace capstan
