// Keys and values of a head are laid out as tiles once, then 32 queries at a time go through.
#include "generate/kernels/image_attention.h"

#include "capstan/core/error.h"
#include "generate/kernels/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace capstan::kernels {

ImageAttentionScratch::ImageAttentionScratch(std::int64_t tokens, std::int64_t head_size, int num_planes)
    : keys(round_up(tokens, 32) * head_size * num_planes),
      values(round_up(tokens, 32) * head_size * num_planes),
      weights(round_up(tokens, 32) * 32 * num_planes),
      scores(round_up(tokens, 32) * 32),
      sums(2 * 32 * 32) {}

#if defined(__x86_64__)
#include "generate/kernels/tiles_begin.inl"
namespace image {

#define CAPSTAN_WIDTH 16
#include "generate/kernels/vector.inl"

#include "generate/kernels/tiles.inl"

// W is K here: a panel of 32 keys, in steps of 32 numbers of the head; a dword holds two successive ones.
void lay_out_keys(const ImageAttention& a, std::uint16_t* out) {
  const std::int64_t padded = round_up(a.tokens, 32), steps = a.head_size / 32;
  for (std::int64_t plane = 0; plane < a.num_planes; ++plane)
    for (std::int64_t key = 0; key < padded; ++key) {
      const std::uint16_t* from = a.key + plane * a.plane_stride + key * a.ld;
      std::uint16_t* to =
          out + plane * padded * a.head_size + key / 32 * steps * 1024 + key % 32 / 16 * 512 + key % 16 * 2;
      for (std::int64_t pair = 0; pair < a.head_size / 2; ++pair) {
        const std::uint32_t dword = key < a.tokens ? load_as<std::uint32_t>(from + pair * 2) : 0U;
        __builtin_memcpy(to + pair / 16 * 1024 + pair % 16 * 32, &dword, sizeof(dword));
      }
    }
}

// W is V^T: a panel of 32 numbers of the head, in steps of 32 tokens; a dword holds two successive tokens.
void lay_out_values(const ImageAttention& a, std::uint16_t* out) {
  const std::int64_t padded = round_up(a.tokens, 32), steps = padded / 32;
  for (std::int64_t plane = 0; plane < a.num_planes; ++plane)
    for (std::int64_t pair = 0; pair < padded / 2; ++pair) {
      const std::uint16_t* first = a.value + plane * a.plane_stride + pair * 2 * a.ld;
      for (std::int64_t d = 0; d < a.head_size; d += 16) {
        U low = {}, high = {};
        if (pair * 2 < a.tokens) low = __builtin_convertvector(load_as<H>(first + d), U);
        if (pair * 2 + 1 < a.tokens) high = __builtin_convertvector(load_as<H>(first + a.ld + d), U);
        const U dwords = low | (high << 16);
        std::uint16_t* to = out + plane * padded * a.head_size + d / 32 * steps * 1024 + pair / 16 * 1024 +
                            d % 32 / 16 * 512 + pair % 16 * 32;
        __builtin_memcpy(to, &dwords, sizeof(U));
      }
    }
}

// exp(scores - max), as planes; -> 1 / their sum.
float weigh(const ImageAttention& a, float* scores, std::uint16_t* weights) {
  const std::int64_t padded = round_up(a.tokens, 32);
  for (std::int64_t i = 0; i < padded; i += kWidth) store(scores + i, load(scores + i) * a.scale);
  const float total = exponentials(scores, a.tokens);
  for (std::int64_t i = a.tokens; i < padded; ++i) scores[i] = 0;
  for (std::int64_t i = 0; i < padded; i += kWidth) split(load(scores + i), a.num_planes, weights + i, 32 * padded);
  return 1.0F / total;
}

void attend(const ImageAttention& a, ImageAttentionScratch& s) {
  const std::int64_t padded = round_up(a.tokens, 32), plane = padded * a.head_size;
  lay_out_keys(a, s.keys.data());
  lay_out_values(a, s.values.data());
  float scales[32];
  for (std::int64_t row = 0; row < a.tokens; row += 32) {
    const std::int64_t rows = a.tokens - row < 32 ? a.tokens - row : 32;
    const bool two = rows > 16;
    for (std::int64_t column = 0; column < padded; column += 32) {
      block_planes({.x = reinterpret_cast<const char*>(a.query + row * a.ld),
                    .ld = a.ld * 2,
                    .plane = a.plane_stride * 2,
                    .w = reinterpret_cast<const char*>(s.keys.data() + column * a.head_size),
                    .w_plane = plane * 2,
                    .steps = a.head_size / 32,
                    .two = two},
                   a.num_planes);
      store_sums(two, s.scores.data() + column, padded);
    }
    for (std::int64_t r = 0; r < rows; ++r)
      scales[r] = weigh(a, s.scores.data() + r * padded, s.weights.data() + r * padded);
    for (std::int64_t column = 0; column < a.head_size; column += 32) {
      block_planes({.x = reinterpret_cast<const char*>(s.weights.data()),
                    .ld = padded * 2,
                    .plane = 32 * padded * 2,
                    .w = reinterpret_cast<const char*>(s.values.data() + column * padded),
                    .w_plane = plane * 2,
                    .steps = padded / 32,
                    .two = two},
                   a.num_planes);
      store_sums(two, s.sums.data(), kPanel);
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < 32; i += kWidth)
          split(load(s.sums.data() + r * kPanel + i) * scales[r], a.num_planes,
                a.out + (row + r) * a.out_ld + column + i, a.out_plane_stride);
    }
  }
}

}  // namespace image
#include "generate/kernels/tiles_end.inl"

void attend_image(const ImageAttention& attention, ImageAttentionScratch& scratch) {
  image::attend(attention, scratch);
}

#else

void attend_image(const ImageAttention&, ImageAttentionScratch&) {
  internal_error(__FILE__, __LINE__, "the processor has tiles");
}

#endif

}  // namespace capstan::kernels
