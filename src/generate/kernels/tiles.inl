// Products on the tile registers of AMX: blocks of 16 or 32 rows times a panel of 32 columns. Included inside a
// namespace, between the pragmas that switch AMX on, after vector.inl.

// The compiler's tile loads do not say that they read memory: what was written before must be there.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

// Tiles 0-3 hold sums [2 x 16 rows][2 x 16 columns], 4-5 rows of x, 6-7 columns of W.
inline void clear_sums(bool two) {
  settle_memory();
  _tile_zero(0);
  _tile_zero(1);
  if (two) {
    _tile_zero(2);
    _tile_zero(3);
  }
}

// Rows of the sums `ld` numbers apart.
inline void load_sums(bool two, const void* sums, std::int64_t ld) {
  const char* from = static_cast<const char*>(sums);
  settle_memory();
  _tile_loadd(0, from, 4 * ld);
  _tile_loadd(1, from + 64, 4 * ld);
  if (two) {
    _tile_loadd(2, from + 16 * 4 * ld, 4 * ld);
    _tile_loadd(3, from + 16 * 4 * ld + 64, 4 * ld);
  }
}

inline void store_sums(bool two, void* sums, std::int64_t ld) {
  char* to = static_cast<char*>(sums);
  _tile_stored(0, to, 4 * ld);
  _tile_stored(1, to + 64, 4 * ld);
  if (two) {
    _tile_stored(2, to + 16 * 4 * ld, 4 * ld);
    _tile_stored(3, to + 16 * 4 * ld + 64, 4 * ld);
  }
}

// Where a block lies: rows of x `ld` bytes apart and 64 bytes wide per step; W 2048 bytes per step.
struct Block {
  const char* x;
  std::int64_t ld, plane;  // bytes
  const char* w;
  std::int64_t w_plane, steps;
  bool two;  // 32 rows rather than 16
};

inline void block_int8(const Block& b) {
  const char* x1 = b.x + 16 * b.ld;
  for (std::int64_t s = 0; s < b.steps; ++s) {
    const char* w = b.w + s * 2048;
    __builtin_prefetch(w + 8192, 0, 3);
    _tile_loadd(6, w, 64);
    _tile_loadd(7, w + 1024, 64);
    _tile_loadd(4, b.x + s * 64, b.ld);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if (b.two) {
      _tile_loadd(5, x1 + s * 64, b.ld);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  }
}

// A function of its own, so that its few numbers stay in registers.
template <bool kTwo>
__attribute__((noinline)) void steps_bf16(const char* x, std::int64_t ld, const char* w, std::int64_t steps) {
  const char* x1 = x + 16 * ld;
  for (const char* end = w + steps * 2048; w != end; w += 2048, x += 64, x1 += 64) {
    _tile_loadd(6, w, 64);
    _tile_loadd(7, w + 1024, 64);
    _tile_loadd(4, x, ld);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTwo) {
      _tile_loadd(5, x1, ld);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

inline void block_bf16(const Block& b) {
  b.two ? steps_bf16<true>(b.x, b.ld, b.w, b.steps) : steps_bf16<false>(b.x, b.ld, b.w, b.steps);
}

inline void load_x(const Block& b, std::int64_t s, int plane) {
  const char* x = b.x + plane * b.plane + s * 64;
  _tile_loadd(4, x, b.ld);
  if (b.two) _tile_loadd(5, x + 16 * b.ld, b.ld);
}
inline void load_w(const Block& b, std::int64_t s, int plane) {
  const char* w = b.w + plane * b.w_plane + s * 2048;
  _tile_loadd(6, w, 64);
  _tile_loadd(7, w + 1024, 64);
}
inline void add_products(const Block& b) {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if (b.two) {
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// (x0 + x1 + x2)(w0 + w1 + w2) without the three smallest products; small ones first.
inline void block_planes3(const Block& b) {
  for (std::int64_t s = 0; s < b.steps; ++s) {
    load_x(b, s, 1);
    load_w(b, s, 1);
    add_products(b);  // x1 w1
    load_w(b, s, 0);
    add_products(b);  // x1 w0
    load_x(b, s, 2);
    add_products(b);  // x2 w0
    load_x(b, s, 0);
    add_products(b);  // x0 w0
    load_w(b, s, 1);
    add_products(b);  // x0 w1
    load_w(b, s, 2);
    add_products(b);  // x0 w2
  }
}

inline void block_planes(const Block& b, int num_planes) {
  clear_sums(b.two);
  num_planes == 1 ? block_bf16(b) : block_planes3(b);
}
