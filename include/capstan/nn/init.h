// Fresh weights that depend on the seed and the parameter's name only.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace capstan {

// Fills `parameter` from a normal distribution of mean 0. Each name has its own stream of `seed`, so neither the
// order of calls nor the presence of other parameters changes a value.
void init_normal(at::Tensor parameter, double std, std::uint64_t seed, std::string_view name);

}  // namespace capstan
