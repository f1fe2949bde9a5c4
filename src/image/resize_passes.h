// The two passes of a resampling over RGB rows that lie one behind the other. Every implementation gives the same
// bytes: sums are exact in 32 bits, so their order does not show.
#pragma once
#include <cstddef>
#include <cstdint>

#include "image/resize_taps.h"

namespace capstan::image_io {

// `in` has `num_rows` rows, `in_stride` bytes apart, of taps.in_size pixels; rows of `out` have taps.out_size().
using WidthPass = void (*)(const std::uint8_t* in, std::size_t in_stride, int num_rows, const Taps& taps,
                           std::uint8_t* out);
// `in` has taps.in_size rows, `in_stride` bytes apart, of `row_size` bytes; `out` has taps.out_size() such rows.
using HeightPass = void (*)(const std::uint8_t* in, std::size_t in_stride, std::size_t row_size, const Taps& taps,
                            std::uint8_t* out);

struct Passes {
  WidthPass width;
  HeightPass height;
};

Passes plain_passes();
bool has_avx2();       // of this processor and this build
Passes avx2_passes();  // only where has_avx2()
Passes fastest_passes();

}  // namespace capstan::image_io
