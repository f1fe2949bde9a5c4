// Kernels over vectors of CAPSTAN_WIDTH floats, included once per instruction set inside a namespace of its own and
// between the pragmas that switch the instruction set on. Only compiler vectors and built-ins: an inline function of
// the standard library would be compiled for this set and might be linked into code for others.

typedef float F __attribute__((vector_size(4 * CAPSTAN_WIDTH)));
typedef std::int32_t I __attribute__((vector_size(4 * CAPSTAN_WIDTH)));
typedef std::uint32_t U __attribute__((vector_size(4 * CAPSTAN_WIDTH)));
typedef std::uint16_t H __attribute__((vector_size(2 * CAPSTAN_WIDTH)));
typedef std::int8_t B __attribute__((vector_size(CAPSTAN_WIDTH)));

constexpr int kWidth = CAPSTAN_WIDTH;
// Rows of x at a time, so that their sums and a row of the panel fit the registers.
constexpr int kMaxRows = kWidth == 16 ? 12 : kWidth == 8 ? 3 : 1;

template <class V, class T>
inline V load_as(const T* from) {
  V value;
  __builtin_memcpy(&value, from, sizeof(V));
  return value;
}
inline F load(const float* from) { return load_as<F>(from); }
inline F load(const std::uint16_t* from) { return (F)(__builtin_convertvector(load_as<H>(from), U) << 16); }
inline F load(const std::int8_t* from) {
  return __builtin_convertvector(__builtin_convertvector(load_as<B>(from), I), F);
}
inline void store(float* to, F value) { __builtin_memcpy(to, &value, sizeof(F)); }
inline void store(std::uint16_t* to, H value) { __builtin_memcpy(to, &value, sizeof(H)); }
inline F all(float value) { return value - F{}; }

inline F multiply_add(F a, F b, F c) {
#if CAPSTAN_WIDTH == 16
  return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif CAPSTAN_WIDTH == 8
  return (F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

inline float sum(F value) {
  float total = 0;
  for (int i = 0; i < kWidth; ++i) total += value[i];
  return total;
}
inline float largest(F value) {
  float result = value[0];
  for (int i = 1; i < kWidth; ++i) result = value[i] > result ? value[i] : result;
  return result;
}

// Rounded to nearest even.
inline H to_half(F value) {
  const U bits = (U)value;
  return __builtin_convertvector((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16, H);
}

// Relative error below 2e-7 (polynomial of Cephes' expf).
inline F exponential(F x) {
  x = x < -87.0F ? all(-87.0F) : x;
  x = x > 88.0F ? all(88.0F) : x;
  const I whole = __builtin_convertvector(x * 1.44269504088896341F + (x < 0.0F ? all(-0.5F) : all(0.5F)), I);
  const F n = __builtin_convertvector(whole, F);
  const F r = multiply_add(n, all(2.12194440e-4F), multiply_add(n, all(-0.693359375F), x));
  F p = multiply_add(all(1.9875691500e-4F), r, all(1.3981999507e-3F));
  p = multiply_add(p, r, all(8.3334519073e-3F));
  p = multiply_add(p, r, all(4.1665795894e-2F));
  p = multiply_add(p, r, all(1.6666665459e-1F));
  p = multiply_add(p, r, all(5.0000001201e-1F));
  p = multiply_add(p, r * r, r + 1.0F);
  return (F)((I)p + (whole << 23));
}

// The Gaussian's tail by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.
inline F gelu(F x) {
  const F z = (x < 0.0F ? -x : x) * 0.70710678118654752F;
  const F t = 1.0F / multiply_add(z, all(0.3275911F), all(1.0F));
  F p = multiply_add(all(1.061405429F), t, all(-1.453152027F));
  p = multiply_add(p, t, all(1.421413741F));
  p = multiply_add(p, t, all(-0.284496736F));
  p = multiply_add(p, t, all(0.254829592F));
  const F tail = 0.5F * x * p * t * exponential(-z * z);  // x * (1 - Phi(|x|))
  return x < 0.0F ? tail : x - tail;
}
inline F sigmoid_times(F x, F y) { return x / (1.0F + exponential(-y)); }

inline F activate(F x, Act activation) {
  switch (activation) {
    case Act::kNone: return x;
    case Act::kGelu: return gelu(x);
    case Act::kGeluNew:  // 0.5 (1 + tanh(u)) is sigmoid(2u), without the loss of digits below 0
      return sigmoid_times(x, 1.5957691216057308F * multiply_add(0.044715F * x * x, x, x));
    case Act::kRelu: return x > 0.0F ? x : F{};
    case Act::kSilu: return sigmoid_times(x, x);
    case Act::kTanh: return 1.0F - 2.0F / (exponential(2.0F * x) + 1.0F);
  }
  return x;
}

// A vector as the sum of `num_planes` bfloat16 numbers. One is rounded; three are cut off, which leaves no rest.
inline void split(F value, int num_planes, std::uint16_t* to, std::int64_t stride) {
  if (num_planes == 1) {
    store(to, to_half(value));
    return;
  }
  for (int plane = 0; plane < 3; ++plane) {
    const U top = (U)value & 0xffff0000U;
    store(to + plane * stride, __builtin_convertvector(top >> 16, H));
    value = value - (F)top;
  }
}

// Row `row` of y, columns [column, column + 32): sums from the product, with what the epilogue asks for.
inline void finish_row(const float* sums, const PackedMatrix& matrix, std::int64_t row, std::int64_t column,
                       const Epilogue& e) {
  const std::int64_t valid = matrix.n - column;
  for (int i = 0; i < kPanel; i += kWidth) {
    F y = activate(load(sums + i) + load(matrix.bias.data() + column + i), e.activation);
    if (e.planes != nullptr) {
      // Rows of planes are padded, so a whole vector always fits; columns beyond N are zeros.
      split(y, e.num_planes, e.planes + row * e.plane_ld + column + i, e.plane_stride);
      continue;
    }
    float* out = e.out + row * e.ld + column + i;
    if (valid >= i + kWidth) {
      store(out, e.add ? load(out) + y : y);
    } else {
      for (int j = 0; j < kWidth && i + j < valid; ++j) out[j] = e.add ? out[j] + y[j] : y[j];
    }
  }
}

template <class T, int R>
inline void panel_rows(const T* panel, std::int64_t k, const float* x, std::int64_t ld, float* sums) {
  constexpr int kVectors = kPanel / kWidth;
  F acc[R][kVectors] = {};
  for (std::int64_t i = 0; i < k; ++i) {
    const T* from = panel + i * kPanel;
    // Into the second cache, which can wait for far more lines at once than the first.
    for (std::size_t byte = 0; byte < kPanel * sizeof(T); byte += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(from) + 8192 + byte, 0, 2);
    F w[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) w[v] = load(from + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F factor = all(x[r * ld + i]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[r][v] = multiply_add(factor, w[v], acc[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) store(sums + r * kPanel + v * kWidth, acc[r][v]);
}

template <class T, int R = kMaxRows>
inline void panel_any_rows(int rows, const T* panel, std::int64_t k, const float* x, std::int64_t ld, float* sums) {
  if constexpr (R > 1) {
    if (rows < R) return panel_any_rows<T, R - 1>(rows, panel, k, x, ld, sums);
  }
  panel_rows<T, R>(panel, k, x, ld, sums);
}

template <class T>
inline void multiply_type(const PackedMatrix& matrix, const T* weights, const Operand& x, const Part& part,
                          const Epilogue& e) {
  alignas(64) float sums[kMaxRows * kPanel];
  for (std::int64_t panel = part.panels.begin; panel < part.panels.end; ++panel) {
    const T* from = weights + panel * matrix.k_padded * kPanel;
    const std::int64_t column = panel * kPanel;
    for (std::int64_t row = part.rows.begin; row < part.rows.end; row += kMaxRows) {
      const std::int64_t left = part.rows.end - row;
      const int rows = left < kMaxRows ? static_cast<int>(left) : kMaxRows;
      panel_any_rows<T>(rows, from, matrix.k, x.floats + row * x.ld, x.ld, sums);
      if (matrix.type == WeightType::kInt8)
        for (int i = 0; i < rows * kPanel; i += kWidth)
          store(sums + i, load(sums + i) * load(matrix.scales.data() + column + i % kPanel));
      for (int r = 0; r < rows; ++r) finish_row(sums + r * kPanel, matrix, row + r, column, e);
    }
  }
}

void multiply(const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& e) {
  switch (matrix.type) {
    case WeightType::kFloat32: return multiply_type(matrix, matrix.floats.data(), x, part, e);
    case WeightType::kBfloat16: return multiply_type(matrix, matrix.halves.data(), x, part, e);
    case WeightType::kInt8: return multiply_type(matrix, matrix.int8s.data(), x, part, e);
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, std::int64_t n, float* out) {
  const std::int64_t whole = n / kWidth * kWidth;
  F total = {};
  for (std::int64_t i = 0; i < whole; i += kWidth) total += load(x + i);
  float mean = sum(total);
  for (std::int64_t i = whole; i < n; ++i) mean += x[i];
  mean /= static_cast<float>(n);
  F squares = {};
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const F d = load(x + i) - mean;
    squares = multiply_add(d, d, squares);
  }
  float variance = sum(squares);
  for (std::int64_t i = whole; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const float scale = 1.0F / __builtin_sqrtf(variance / static_cast<float>(n) + eps);
  for (std::int64_t i = 0; i < whole; i += kWidth)
    store(out + i, multiply_add((load(x + i) - mean) * scale, load(weight + i), load(bias + i)));
  for (std::int64_t i = whole; i < n; ++i) out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

// `out` is padded to whole vectors.
void to_planes(const float* x, std::int64_t n, int num_planes, std::uint16_t* out, std::int64_t plane_stride) {
  const std::int64_t whole = n / kWidth * kWidth;
  for (std::int64_t i = 0; i < whole; i += kWidth) split(load(x + i), num_planes, out + i, plane_stride);
  if (whole == n) return;
  F rest = {};
  for (std::int64_t i = whole; i < n; ++i) rest[i - whole] = x[i];
  split(rest, num_planes, out + whole, plane_stride);
}

inline F rounded(F x) { return (x + 12582912.0F) - 12582912.0F; }  // 1.5 * 2^23: to the nearest whole number

void to_int8(const float* x, std::int64_t n, std::int8_t* high, std::int8_t* low, float* scale) {
  const std::int64_t whole = n / kWidth * kWidth;
  F top = {};
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const F value = load(x + i);
    const F size = value < 0.0F ? -value : value;
    top = size > top ? size : top;
  }
  float range = largest(top);
  for (std::int64_t i = whole; i < n; ++i) range = __builtin_fabsf(x[i]) > range ? __builtin_fabsf(x[i]) : range;
  *scale = range / 127.0F;
  const float inverse = range > 0 ? 127.0F / range : 0.0F;
  for (std::int64_t i = 0; i < n; i += kWidth) {
    F value = {};
    if (i < whole)
      value = load(x + i);
    else
      for (std::int64_t j = i; j < n; ++j) value[j - i] = x[j];
    value *= inverse;
    const F h = rounded(value), l = rounded((value - h) * 254.0F);
    const B high_bytes = __builtin_convertvector(__builtin_convertvector(h, I), B);
    const B low_bytes = __builtin_convertvector(__builtin_convertvector(l, I), B);
    __builtin_memcpy(high + i, &high_bytes, sizeof(B));
    __builtin_memcpy(low + i, &low_bytes, sizeof(B));
  }
}

// exp(x - max) over `n` numbers in place; -> their sum.
inline float exponentials(float* x, std::int64_t n) {
  const std::int64_t whole = n / kWidth * kWidth;
  float top = x[0];
  for (std::int64_t i = whole; i < n; ++i) top = x[i] > top ? x[i] : top;
  F tops = all(top);
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const F value = load(x + i);
    tops = value > tops ? value : tops;
  }
  top = largest(tops);
  F totals = {};
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    const F value = exponential(load(x + i) - top);
    totals += value;
    store(x + i, value);
  }
  float total = sum(totals);
  if (whole < n) {
    F rest = {};
    for (std::int64_t i = whole; i < n; ++i) rest[i - whole] = x[i];
    rest = exponential(rest - top);
    for (std::int64_t i = whole; i < n; ++i) total += x[i] = rest[i - whole];
  }
  return total;
}

inline float one(const float* x) { return *x; }
inline float one(const std::uint16_t* x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(*x) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class T>
inline float dot(const float* a, const T* b, std::int64_t n) {
  const std::int64_t whole = n / kWidth * kWidth;
  F total = {};
  for (std::int64_t i = 0; i < whole; i += kWidth) total = multiply_add(load(a + i), load(b + i), total);
  float result = sum(total);
  for (std::int64_t i = whole; i < n; ++i) result += a[i] * one(b + i);
  return result;
}

template <class T>
void self_attention(const SelfAttention& a) {
  const T* keys = static_cast<const T*>(a.keys);
  const T* values = static_cast<const T*>(a.values);
  for (std::int64_t t = 0; t < a.length; ++t)
    a.scores[t] = a.scale * dot(a.query, keys + t * a.position_stride + a.slots[t] * a.slot_stride, a.head_size);
  const float scale = 1.0F / exponentials(a.scores, a.length);
  for (std::int64_t i = 0; i < a.head_size; ++i) a.out[i] = 0;
  const std::int64_t whole = a.head_size / kWidth * kWidth;
  for (std::int64_t t = 0; t < a.length; ++t) {
    const float weight = a.scores[t] * scale;
    const T* from = values + t * a.position_stride + a.slots[t] * a.slot_stride;
    for (std::int64_t i = 0; i < whole; i += kWidth)
      store(a.out + i, multiply_add(all(weight), load(from + i), load(a.out + i)));
    for (std::int64_t i = whole; i < a.head_size; ++i) a.out[i] += weight * one(from + i);
  }
}

// R texts at once share every key and value that is read.
template <class T, int R>
inline void cross_rows(const CrossAttention& a, const float* query, float* out) {
  constexpr int kVectors = 32 / kWidth;
  const T* keys = static_cast<const T*>(a.keys);
  for (std::int64_t s = 0; s < a.num_padded; s += 32) {
    F acc[R][kVectors] = {};
    for (std::int64_t d = 0; d < a.head_size; ++d) {
      F k[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) k[v] = load(keys + d * a.num_padded + s + v * kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const F q = all(query[r * a.ld + d]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[r][v] = multiply_add(q, k[v], acc[r][v]);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < kVectors; ++v) store(a.scores + r * a.num_padded + s + v * kWidth, acc[r][v] * a.scale);
  }
  float scales[R];
  for (int r = 0; r < R; ++r) scales[r] = 1.0F / exponentials(a.scores + r * a.num_padded, a.num_keys);

  constexpr int kChunk = 64 / kWidth < 4 ? 64 / kWidth : 4;  // vectors of a value at a time
  const T* values = static_cast<const T*>(a.values);
  for (std::int64_t d = 0; d < a.head_padded; d += kChunk * kWidth) {
    const std::int64_t left = (a.head_padded - d) / kWidth;
    F acc[R][kChunk] = {};
    const auto add = [&](std::int64_t s, int v) {
      const F value = load(values + s * a.head_padded + d + v * kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        acc[r][v] = multiply_add(all(a.scores[r * a.num_padded + s]), value, acc[r][v]);
    };
    if (left >= kChunk) {
      for (std::int64_t s = 0; s < a.num_keys; ++s) {
#pragma GCC unroll 16
        for (int v = 0; v < kChunk; ++v) add(s, v);
      }
    } else {
      for (std::int64_t s = 0; s < a.num_keys; ++s)
        for (int v = 0; v < left; ++v) add(s, v);
    }
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < kChunk; ++v)
        for (int j = 0; j < kWidth; ++j)
          if (d + v * kWidth + j < a.head_size) out[r * a.ld + d + v * kWidth + j] = acc[r][v][j] * scales[r];
  }
}

template <class T>
void cross_attention(const CrossAttention& a) {
  for (std::int64_t row = 0; row < a.rows; row += 4) {
    const float* query = a.query + row * a.ld;
    float* out = a.out + row * a.ld;
    switch (a.rows - row) {
      case 1: cross_rows<T, 1>(a, query, out); break;
      case 2: cross_rows<T, 2>(a, query, out); break;
      case 3: cross_rows<T, 3>(a, query, out); break;
      default: cross_rows<T, 4>(a, query, out);
    }
  }
}

VectorKernels table() {
  return {.multiply = multiply,
          .layer_norm = layer_norm,
          .to_planes = to_planes,
          .to_int8 = to_int8,
          .self_attention_f32 = self_attention<float>,
          .self_attention_bf16 = self_attention<std::uint16_t>,
          .cross_attention_f32 = cross_attention<float>,
          .cross_attention_bf16 = cross_attention<std::uint16_t>};
}
