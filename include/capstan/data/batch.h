// What one step is made of. Legend: P pictures, B rows (captions), H height, W width, T tokens of the longest + 1
// (EOS).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace capstan {

// A picture is there once, however many of its captions are.
struct CaptionBatch {
  at::Tensor pixels_PHWC;                    // uint8
  at::Tensor labels_BT;                      // int64; EOS after the caption, then -100
  std::int64_t num_label_tokens = 0;         // labels that are not -100
  std::int64_t num_captions = 0;             // rows that hold one
  std::vector<std::int64_t> images;          // cache index of each picture
  std::vector<std::int64_t> captions;        // cache index of each row; -1 where the row is there only to fill up
  std::vector<std::int64_t> picture_of_row;  // [B]

  // C where B = P * C and row i belongs to picture i / C; 0 where rows are in no such order.
  std::int64_t rows_per_picture() const;
};

}  // namespace capstan
