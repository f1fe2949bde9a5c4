// What one step is made of. Legend: B captions, H height, W width, T tokens of the longest caption + 1 (EOS).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace capstan {

struct CaptionBatch {
  at::Tensor pixels_BHWC;             // uint8
  at::Tensor labels_BT;               // int64; EOS after the caption, then -100
  std::int64_t num_label_tokens = 0;  // labels that are not -100
  std::vector<std::int64_t> images;   // cache index of each row
  std::vector<std::int64_t> captions;
};

}  // namespace capstan
