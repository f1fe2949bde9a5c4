// The passes with AVX2, chosen at run time. A weight of 23 bits is split into halves of 16 bits; multiplying pairs of
// samples with pairs of halves and adding the two products is one instruction, and stays exact in 32 bits.
#include "capstan/core/error.h"
#include "image/resize_passes.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <vector>

#define CAPSTAN_AVX2 [[gnu::target("avx2")]]

namespace capstan::image_io {
namespace {

constexpr int kTapsAtOnce = 4;      // of one output pixel
constexpr int kPixelsAtOnce = 4;    // rounded and stored together
constexpr std::size_t kBlock = 32;  // bytes of a row that are added up in registers

// weight == high * 65536 + low; `low` is signed.
std::int16_t low_half(std::int32_t weight) { return static_cast<std::int16_t>(weight & 0xFFFF); }
std::int16_t high_half(std::int32_t weight) { return static_cast<std::int16_t>((weight + 0x8000) >> 16); }

// Two 16-bit numbers as one lane of 32 bits.
std::int32_t pair(std::int16_t first, std::int16_t second) {
  return static_cast<std::int32_t>(static_cast<std::uint16_t>(first) |
                                   (static_cast<std::uint32_t>(static_cast<std::uint16_t>(second)) << 16));
}

// Weights of four neighbouring taps: the first two in the lower 128 bits, once for each channel, the others above.
struct Quad {
  std::int32_t low[8];
  std::int32_t high[8];
};

// What makes the pixels of a row: the same number of quads for each, so that loops need no guessing.
struct Columns {
  int size = 0;                      // pixels that come out
  int quads = 0;                     // per pixel
  std::vector<std::size_t> offsets;  // of the first input byte, for whole groups of kPixelsAtOnce
  std::vector<Quad> weights;
  std::size_t reach = 0;  // bytes that are read of a row, or beyond its end
};

Columns make_columns(const Taps& taps) {
  Columns columns{.size = taps.out_size(), .offsets = {}, .weights = {}};
  for (const auto& range : taps.ranges)
    columns.quads = std::max(columns.quads, (range.count + kTapsAtOnce - 1) / kTapsAtOnce);
  const int num_taps = columns.quads * kTapsAtOnce;
  const int padded = (columns.size + kPixelsAtOnce - 1) / kPixelsAtOnce * kPixelsAtOnce;
  columns.weights.resize(static_cast<std::size_t>(padded) * static_cast<std::size_t>(columns.quads));
  columns.offsets.resize(static_cast<std::size_t>(padded));
  std::vector<std::int32_t> spread(static_cast<std::size_t>(num_taps));
  Quad* quad = columns.weights.data();
  for (int i = 0; i < columns.size; ++i) {
    const auto range = taps.range(i);
    // Near the right end, weights of zero go to the left of the range instead of reading beyond the row.
    const int first = std::max(0, std::min(range.first, taps.in_size - num_taps));
    columns.offsets[static_cast<std::size_t>(i)] = static_cast<std::size_t>(first) * 3;
    std::fill(spread.begin(), spread.end(), 0);
    std::copy_n(taps.weights_of(i), range.count, spread.begin() + (range.first - first));
    for (const std::int32_t* w = spread.data(); w != spread.data() + num_taps; w += kTapsAtOnce, ++quad) {
      for (int lane = 0; lane < 4; ++lane) {
        quad->low[lane] = pair(low_half(w[0]), low_half(w[1]));
        quad->low[lane + 4] = pair(low_half(w[2]), low_half(w[3]));
        quad->high[lane] = pair(high_half(w[0]), high_half(w[1]));
        quad->high[lane + 4] = pair(high_half(w[2]), high_half(w[3]));
      }
    }
  }
  // Quads are read as 16 bytes, of which they use 12.
  columns.reach = static_cast<std::size_t>(std::max(taps.in_size, num_taps)) * 3 + 4;
  return columns;
}

CAPSTAN_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// Red, green and blue of one output pixel as 32-bit numbers, not yet clamped; the fourth is of no use.
CAPSTAN_AVX2 inline __m128i finished(__m256i low, __m256i high) {
  const __m256i sums = _mm256_add_epi32(low, _mm256_slli_epi32(high, 16));
  const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kHalf)), kFractionBits);
}

// Four taps of one row as 16-bit numbers in the order of a Quad.
CAPSTAN_AVX2 inline __m256i four_taps(const std::uint8_t* from) {
  // Bytes r0 r1 g0 g1 b0 b1 of two taps; -1 gives zero.
  const __m256i spread = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                          6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), spread);
}

// Clamps up to four pixels and writes them behind each other.
CAPSTAN_AVX2 inline void store_pixels(const __m128i pixels[kPixelsAtOnce], int count, std::uint8_t* out) {
  const __m128i words01 = _mm_packs_epi32(pixels[0], pixels[1]);
  const __m128i words23 = _mm_packs_epi32(pixels[2], pixels[3]);
  const __m128i bytes = _mm_packus_epi16(words01, words23);
  const __m128i close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  std::uint8_t buffer[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(buffer), _mm_shuffle_epi8(bytes, close));
  if (count == kPixelsAtOnce)
    std::memcpy(out, buffer, 3 * kPixelsAtOnce);  // a size known to the compiler is no call
  else
    std::memcpy(out, buffer, static_cast<std::size_t>(count) * 3);
}

// Two rows at once share the loading of weights. kQuads is columns.quads, or 0 where it is large.
template <int kQuads>
CAPSTAN_AVX2 void width_of_rows(const std::uint8_t* const in[2], const Columns& columns, std::uint8_t* const out[2]) {
  const Quad* quad = columns.weights.data();
  const int num_quads = kQuads > 0 ? kQuads : columns.quads;
  for (int i = 0; i < columns.size; i += kPixelsAtOnce) {
    __m128i first[kPixelsAtOnce];
    __m128i second[kPixelsAtOnce];
    for (int j = 0; j < kPixelsAtOnce; ++j) {
      std::size_t at = columns.offsets[static_cast<std::size_t>(i + j)];
      __m256i low[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      __m256i high[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      for (int k = 0; k < num_quads; ++k, ++quad, at += 3 * kTapsAtOnce) {
        const __m256i low_weights = load(quad->low);
        const __m256i high_weights = load(quad->high);
        for (int row = 0; row < 2; ++row) {
          const __m256i samples = four_taps(in[row] + at);
          low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(samples, low_weights));
          high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(samples, high_weights));
        }
      }
      first[j] = finished(low[0], high[0]);
      second[j] = finished(low[1], high[1]);
    }
    const int count = std::min(kPixelsAtOnce, columns.size - i);
    store_pixels(first, count, out[0] + static_cast<std::ptrdiff_t>(i) * 3);
    store_pixels(second, count, out[1] + static_cast<std::ptrdiff_t>(i) * 3);
  }
}

auto width_function(int num_quads) {
  switch (num_quads) {
    case 1:
      return width_of_rows<1>;
    case 2:
      return width_of_rows<2>;
    case 3:
      return width_of_rows<3>;
    case 4:
      return width_of_rows<4>;
    default:
      return width_of_rows<0>;
  }
}

void avx2_width(const std::uint8_t* in, std::size_t in_stride, int num_rows, const Taps& taps, std::uint8_t* out) {
  const Columns columns = make_columns(taps);
  const auto run = width_function(columns.quads);
  const std::size_t row_size = static_cast<std::size_t>(taps.in_size) * 3;
  const std::size_t out_row = static_cast<std::size_t>(taps.out_size()) * 3;
  const std::uint8_t* end = in + static_cast<std::size_t>(num_rows - 1) * in_stride + row_size;
  std::vector<std::uint8_t> copies[2];
  for (int y = 0; y < num_rows; y += 2) {
    const std::uint8_t* rows[2];
    std::uint8_t* outs[2];
    for (int i = 0; i < 2; ++i) {
      const auto row = static_cast<std::size_t>(std::min(y + i, num_rows - 1));  // an odd last row is done twice
      rows[i] = in + row * in_stride;
      outs[i] = out + row * out_row;
      if (static_cast<std::size_t>(end - rows[i]) >= columns.reach) continue;
      copies[i].resize(columns.reach);  // the last rows are read from copies with room behind them
      std::memcpy(copies[i].data(), rows[i], row_size);
      rows[i] = copies[i].data();
    }
    run(rows, columns, outs);
  }
}

// Weights of two neighbouring rows.
struct RowPair {
  std::int32_t low;
  std::int32_t high;
};

// kBlock bytes of one output row; `in` is at the first input row, which is followed by `num_rows` - 1 others.
CAPSTAN_AVX2 inline void height_of_block(const std::uint8_t* in, std::size_t in_stride, int num_rows,
                                         const RowPair* pairs, std::uint8_t* out) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i low[4] = {zero, zero, zero, zero};
  __m256i high[4] = {zero, zero, zero, zero};
  for (int k = 0; k < num_rows; k += 2, ++pairs) {
    const std::uint8_t* row = in + static_cast<std::size_t>(k) * in_stride;
    const __m256i even = load(row);
    const __m256i odd = k + 1 < num_rows ? load(row + in_stride) : zero;
    const __m256i front = _mm256_unpacklo_epi8(even, odd);
    const __m256i back = _mm256_unpackhi_epi8(even, odd);
    const __m256i samples[4] = {_mm256_unpacklo_epi8(front, zero), _mm256_unpackhi_epi8(front, zero),
                                _mm256_unpacklo_epi8(back, zero), _mm256_unpackhi_epi8(back, zero)};
    const __m256i low_weights = _mm256_set1_epi32(pairs->low);
    const __m256i high_weights = _mm256_set1_epi32(pairs->high);
    for (int i = 0; i < 4; ++i) {
      low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(samples[i], low_weights));
      high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(samples[i], high_weights));
    }
  }
  __m256i sums[4];
  for (int i = 0; i < 4; ++i) {
    const __m256i sum = _mm256_add_epi32(low[i], _mm256_slli_epi32(high[i], 16));
    sums[i] = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(kHalf)), kFractionBits);
  }
  // Packing works within 128 bits, as unpacking did, so the bytes are back where they came from.
  const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]), _mm256_packs_epi32(sums[2], sums[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
}

CAPSTAN_AVX2 void avx2_height(const std::uint8_t* in, std::size_t in_stride, std::size_t row_size, const Taps& taps,
                              std::uint8_t* out) {
  if (row_size < kBlock) return plain_passes().height(in, in_stride, row_size, taps, out);
  std::vector<RowPair> pairs;
  for (int i = 0; i < taps.out_size(); ++i, out += row_size) {
    const auto [first, count] = taps.range(i);
    const std::int32_t* weights = taps.weights_of(i);
    pairs.clear();
    for (int k = 0; k < count; k += 2) {
      const std::int32_t next = k + 1 < count ? weights[k + 1] : 0;
      pairs.push_back({pair(low_half(weights[k]), low_half(next)), pair(high_half(weights[k]), high_half(next))});
    }
    const std::uint8_t* from = in + static_cast<std::size_t>(first) * in_stride;
    // The last block ends with the row and may overlap the one before.
    for (std::size_t x = 0; x < row_size; x += kBlock) {
      const std::size_t at = x + kBlock <= row_size ? x : row_size - kBlock;
      height_of_block(from + at, in_stride, count, pairs.data(), out + at);
    }
  }
}

}  // namespace

bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }
Passes avx2_passes() { return {avx2_width, avx2_height}; }

}  // namespace capstan::image_io
#else
namespace capstan::image_io {

bool has_avx2() { return false; }
Passes avx2_passes() { internal_error(__FILE__, __LINE__, "the processor has AVX2"); }

}  // namespace capstan::image_io
#endif
