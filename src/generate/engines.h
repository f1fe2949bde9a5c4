// The engines by name; make_engine chooses.
#pragma once
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/generate/engine.h"
#include "capstan/models/gpt2.h"
#include "generate/kernels/matrix.h"

namespace capstan {

// Parameters of `module` by name, without a gradient; adapters that are not merged are added to their weights.
TensorMap effective_weights(const torch::nn::Module& module);

kernels::Act kernel_activation(std::string_view name);
kernels::Buffer<float> float_buffer(const at::Tensor& tensor);  // its numbers as float32

// Own kernels on packed weights. float32, bfloat16 and int8.
std::unique_ptr<DecodeEngine> make_cpu_engine(Gpt2& decoder, const EngineOptions& options);

// ATen operations on the model's own weights, wherever they are.
std::unique_ptr<DecodeEngine> make_module_engine(Gpt2& decoder, const EngineOptions& options);
// `rounded`: steps are filled up to rounded sizes, as where they are recorded and replayed.
std::unique_ptr<DecodeEngine> make_module_engine(Gpt2& decoder, const EngineOptions& options, bool rounded);

}  // namespace capstan
