// Matrix products y = x W^T for a few to a few thousand rows of x: weights packed once, in the type that is read from
// memory at every step, and the left side in whatever form the product wants.
//
// Forms of the left side and of the product:
//   kFloat   float32 multiply-add; weights of any type are widened on their way. The one for small batches of float32
//            weights, and for processors without tiles.
//   kPlanes1 bfloat16 tiles, sums in float32.
//   kPlanes3 float32 by tiles: each factor is the exact sum of three bfloat16 numbers (8 + 8 + 8 bits), and the six
//            products above 2^-24 are summed in float32. As accurate as float32 multiply-add and 2-3 times as fast.
//   kInt8    int8 tiles: a row of x is scaled to 15 bits and split into two int8 numbers, so that only the weights are
//            rounded noticeably.
#pragma once
#include <ATen/core/Tensor.h>

#include <bit>
#include <cstdint>

#include "generate/kernels/cpu.h"

namespace capstan::kernels {

enum class WeightType { kFloat32, kBfloat16, kInt8 };
enum class Form { kFloat, kPlanes1, kPlanes3, kInt8 };
enum class Act { kNone, kGelu, kGeluNew, kRelu, kSilu, kTanh };

constexpr std::int64_t kPanel = 32;     // columns of y that are packed together
constexpr std::int64_t kSumRows = 512;  // rows of a panel whose sums wait for the rest of k

// W [N, K] in panels of 32 columns of y, zero-padded:
//   rows of a panel one behind the other, [K, 32], for the vector kernels (any type) and kPlanes3;
//   tiles for kPlanes1 [K / 32, 2, 16, 16, 2] and kInt8 [K / 64, 2, 16, 16, 4].
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // weight [N, K] and bias [N] (or undefined), any floating type, on the CPU. int8: each row of W is scaled so that
  // its largest value is 127.
  PackedMatrix(const at::Tensor& weight_NK, const at::Tensor& bias_N, WeightType type, const Cpu& cpu);

  std::int64_t bytes() const;  // read by one product
  std::int64_t panels() const { return (n + kPanel - 1) / kPanel; }

  WeightType type = WeightType::kFloat32;
  bool tiled = false;
  std::int64_t n = 0, k = 0, k_padded = 0;
  Buffer<float> floats;  // one of these three
  Buffer<std::uint16_t> halves;
  Buffer<std::int8_t> int8s;
  Buffer<float> scales;  // int8: of each column of y
  Buffer<float> bias;    // zeros where there is none

 private:
  void pack_rows(const float* weight_NK);
  void pack_tiles(const float* weight_NK);
  void quantize(const float* weight_NK, std::int8_t* out_NK);
};

// x in the form of one product. Rows of planes and int8 are padded to k_padded with zeros.
struct Operand {
  Form form = Form::kFloat;
  std::int64_t rows = 0;
  const float* floats = nullptr;    // [rows, ld]
  std::uint16_t* planes = nullptr;  // [1 or 3][rows, ld]
  std::int8_t* int8s = nullptr;     // 16 rows high part, 16 rows low part, ...; up to 8 rows: 8 and 8
  float* scales = nullptr;          // [rows], int8
  std::int64_t ld = 0;              // in elements
  std::int64_t plane_stride = 0;
};

// What becomes of a product: (+ bias) -> activation -> stored, added, or stored as planes.
struct Epilogue {
  Act activation = Act::kNone;
  bool add = false;      // to what `out` holds
  float* out = nullptr;  // [rows, ld]
  std::int64_t ld = 0;
  std::uint16_t* planes = nullptr;  // instead of `out`: [num_planes][rows, plane_ld]
  std::int64_t plane_ld = 0, plane_stride = 0;
  int num_planes = 1;
};

struct Part {  // of one product
  Share rows, panels;
};

// Of one thread.
struct Scratch {
  Buffer<float> sums{kSumRows * kPanel};
  Buffer<std::uint16_t> tiles;  // a panel of three planes, for kPlanes3
  Buffer<float> attention;      // scores
};

// The form in which a product of so many rows is fastest.
Form best_form(const Cpu& cpu, const PackedMatrix& matrix, std::int64_t rows);

// Rows and columns of y that `part` names. Threads may work on different parts at once. With tiles, the thread must be
// inside a TileScope.
void multiply(const Cpu& cpu, const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& epilogue,
              Scratch& scratch);

// Tile registers of this thread, ready for use and released afterwards. Does nothing without AMX.
class TileScope {
 public:
  explicit TileScope(const Cpu& cpu);
  ~TileScope();
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  bool on_;
};

// Rounded to the nearest, ties to even; not for NaN.
inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}
inline float from_bf16(std::uint16_t value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16); }

}  // namespace capstan::kernels
