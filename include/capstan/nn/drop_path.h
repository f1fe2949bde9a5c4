// Stochastic depth (Huang et al., 2016, arXiv:1603.09382): in training a block is skipped now and then, per sample.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace capstan {

// What a residual branch [B, ...] contributes: all of a sample's values are zero with probability `rate`, else divided
// by 1 - rate, so that the mean stays. Returns `branch` itself where rate is 0 or not training.
at::Tensor drop_path(const at::Tensor& branch, double rate, bool training);

// The rate of block `index` of `count`, which grows linearly from 0 for the first to `rate` for the last.
double drop_path_rate_of(double rate, std::int64_t index, std::int64_t count);

}  // namespace capstan
