// Attention of all tokens of a picture to each other, on AMX.
#pragma once
#include <cstdint>

#include "generate/kernels/matrix.h"

namespace capstan::kernels {

// One head. Queries, keys and values are rows of planes (1 or 3 of bfloat16, see matrix.h), `ld` apart.
struct ImageAttention {
  const std::uint16_t* query;
  const std::uint16_t* key;
  const std::uint16_t* value;
  std::int64_t ld, plane_stride;
  std::int64_t tokens, head_size;  // head_size is a multiple of 32; 31 rows behind the last may be read
  float scale;
  int num_planes;
  std::uint16_t* out;  // [num_planes][tokens, out_ld]
  std::int64_t out_ld, out_plane_stride;
};

// Memory for one head, of one thread.
struct ImageAttentionScratch {
  ImageAttentionScratch() = default;
  ImageAttentionScratch(std::int64_t tokens, std::int64_t head_size, int num_planes);
  Buffer<std::uint16_t> keys, values;  // in tiles
  Buffer<std::uint16_t> weights;       // [num_planes][32, padded tokens]
  Buffer<float> scores;                // [32, padded tokens]
  Buffer<float> sums;
};

// Inside a TileScope.
void attend_image(const ImageAttention& attention, ImageAttentionScratch& scratch);

}  // namespace capstan::kernels
