// Products with packed weights on AMX.
#include "capstan/core/error.h"
#include "generate/kernels/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace capstan::kernels {
#include "generate/kernels/tiles_begin.inl"
namespace tiles {

#define CAPSTAN_WIDTH 16
#include "generate/kernels/vector.inl"

#include "generate/kernels/tiles.inl"

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14]{};
  std::uint16_t row_bytes[16]{};
  std::uint8_t rows[16]{};
};

void begin_tiles() {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = 16;
  }
  settle_memory();
  _tile_loadconfig(&config);
}

void end_tiles() { _tile_release(); }

// A panel of float32 rows as three planes of tiles, each [K / 32, 2, 16, 16, 2].
void split_panel(const float* panel, std::int64_t steps, std::uint16_t* out) {
  const std::int64_t plane = steps * 1024;
  for (std::int64_t pair = 0; pair < steps * 16; ++pair) {
    __builtin_prefetch(panel + pair * 2 * kPanel + 1024, 0, 3);
    __builtin_prefetch(panel + pair * 2 * kPanel + 1024 + kPanel, 0, 3);
    for (std::int64_t half = 0; half < 2; ++half) {
      F even = load(panel + pair * 2 * kPanel + half * 16), odd = load(panel + (pair * 2 + 1) * kPanel + half * 16);
      std::uint16_t* to = out + pair / 16 * 1024 + half * 512 + pair % 16 * 32;
      for (int p = 0; p < 3; ++p) {
        const U even_top = (U)even & 0xffff0000U, odd_top = (U)odd & 0xffff0000U;
        const U dwords = (even_top >> 16) | odd_top;
        __builtin_memcpy(to + p * plane, &dwords, sizeof(U));
        even = even - (F)even_top;
        odd = odd - (F)odd_top;
      }
    }
  }
}

void rows_int8(const PackedMatrix& matrix, const Operand& x, Share rows, std::int64_t panel, const Epilogue& epilogue,
               std::int32_t* sums) {
  const std::int64_t column = panel * kPanel;
  // Up to 8 rows share one tile: high parts above, low parts below. More rows have a tile for each part.
  const bool one_tile = x.rows <= 8;
  const std::int64_t low = (one_tile ? 8 : 16) * kPanel;
  for (std::int64_t row = rows.begin; row < rows.end; row += 16) {
    const Block block{.x = reinterpret_cast<const char*>(x.int8s + row * 2 * x.ld),
                      .ld = x.ld,
                      .plane = 0,
                      .w = reinterpret_cast<const char*>(matrix.int8s.data() + column * matrix.k_padded),
                      .w_plane = 0,
                      .steps = matrix.k_padded / 64,
                      .two = !one_tile};
    clear_sums(block.two);
    block_int8(block);
    store_sums(block.two, sums, kPanel);
    for (std::int64_t r = row; r < row + 16 && r < rows.end; ++r) {
      const std::int32_t* from = sums + (r - row) * kPanel;
      alignas(64) float y[kPanel];
      const float scale = x.scales[r];
      for (int i = 0; i < kPanel; i += kWidth) {
        const F high = __builtin_convertvector(load_as<I>(from + i), F);
        const F rest = __builtin_convertvector(load_as<I>(from + low + i), F);
        store(y + i, multiply_add(rest, all(1.0F / 254.0F), high) * scale * load(matrix.scales.data() + column + i));
      }
      finish_row(y, matrix, r, column, epilogue);
    }
  }
}

// A piece of a panel, in steps of 32 k: 16 KB, which stay in the first cache while many rows go by.
constexpr std::int64_t kPieceSteps = 8;

// More rows than one block: the panel is taken in pieces of k, and between two of them the sums of all rows lie in
// `sums` [kSumRows, 32].
void rows_bf16(const PackedMatrix& matrix, const Operand& x, Share rows, std::int64_t panel, const Epilogue& epilogue,
               float* sums) {
  const std::int64_t column = panel * kPanel, all_steps = matrix.k_padded / 32;
  const std::uint16_t* weights = matrix.halves.data() + column * matrix.k_padded;
  for (std::int64_t step = 0; step < all_steps; step += kPieceSteps) {
    const std::int64_t steps = all_steps - step < kPieceSteps ? all_steps - step : kPieceSteps;
    for (std::int64_t row = rows.begin; row < rows.end; row += 32) {
      const bool two = rows.end - row > 16;
      float* of_block = sums + (row - rows.begin) * kPanel;
      step == 0 ? clear_sums(two) : load_sums(two, of_block, kPanel);
      block_bf16({.x = reinterpret_cast<const char*>(x.planes + row * x.ld + step * 32),
                  .ld = x.ld * 2,
                  .plane = 0,
                  .w = reinterpret_cast<const char*>(weights + step * 1024),
                  .w_plane = 0,
                  .steps = steps,
                  .two = two});
      store_sums(two, of_block, kPanel);
      if (step + steps < all_steps) continue;
      for (std::int64_t r = row; r < row + 32 && r < rows.end; ++r)
        finish_row(of_block + (r - row) * kPanel, matrix, r, column, epilogue);
    }
  }
}

void multiply_parts(const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& epilogue,
                    Scratch& scratch) {
  float* sums = scratch.sums.data();
  for (std::int64_t panel = part.panels.begin; panel < part.panels.end; ++panel) {
    const std::int64_t column = panel * kPanel;
    if (x.form == Form::kInt8) {
      rows_int8(matrix, x, part.rows, panel, epilogue, reinterpret_cast<std::int32_t*>(sums));
      continue;
    }
    if (x.form == Form::kPlanes1 && part.rows.end - part.rows.begin > 32) {
      for (std::int64_t row = part.rows.begin; row < part.rows.end; row += kSumRows)
        rows_bf16(matrix, x, {row, part.rows.end - row < kSumRows ? part.rows.end : row + kSumRows}, panel, epilogue,
                  sums);
      continue;
    }
    const int num_planes = x.form == Form::kPlanes3 ? 3 : 1;
    const std::uint16_t* weights = scratch.tiles.data();
    if (num_planes == 3)
      split_panel(matrix.floats.data() + column * matrix.k_padded, matrix.k_padded / 32, scratch.tiles.data());
    else
      weights = matrix.halves.data() + column * matrix.k_padded;
    for (std::int64_t row = part.rows.begin; row < part.rows.end; row += 32) {
      block_planes({.x = reinterpret_cast<const char*>(x.planes + row * x.ld),
                    .ld = x.ld * 2,
                    .plane = x.plane_stride * 2,
                    .w = reinterpret_cast<const char*>(weights),
                    .w_plane = matrix.k_padded * kPanel * 2,
                    .steps = matrix.k_padded / 32,
                    .two = part.rows.end - row > 16},
                   num_planes);
      store_sums(part.rows.end - row > 16, sums, kPanel);
      for (std::int64_t r = row; r < row + 32 && r < part.rows.end; ++r)
        finish_row(sums + (r - row) * kPanel, matrix, r, column, epilogue);
    }
  }
}

}  // namespace tiles
#include "generate/kernels/tiles_end.inl"

TileScope::TileScope(const Cpu& cpu) : on_(cpu.amx) {
  if (on_) tiles::begin_tiles();
}
TileScope::~TileScope() {
  if (on_) tiles::end_tiles();
}

void multiply_tiles(const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& epilogue,
                    Scratch& scratch) {
  tiles::multiply_parts(matrix, x, part, epilogue, scratch);
}

}  // namespace capstan::kernels

#else

namespace capstan::kernels {
TileScope::TileScope(const Cpu&) : on_(false) {}
TileScope::~TileScope() = default;
void multiply_tiles(const PackedMatrix&, const Operand&, const Part&, const Epilogue&, Scratch&) {
  internal_error(__FILE__, __LINE__, "the processor has tiles");
}
}  // namespace capstan::kernels

#endif
