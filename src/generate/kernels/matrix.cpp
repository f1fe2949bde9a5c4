// Packing weights, and choosing the product.
#include "generate/kernels/matrix.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "capstan/core/error.h"
#include "generate/kernels/vector.h"

namespace capstan::kernels {
namespace {

// From this many rows on, float32 by tiles outruns multiply-add, whose time grows with every row (measured; at 32 rows
// they are equal).
constexpr std::int64_t kPlanesFromRows = 33;

}  // namespace

PackedMatrix::PackedMatrix(const at::Tensor& weight_NK, const at::Tensor& bias_N, WeightType weight_type,
                           const Cpu& cpu)
    : type(weight_type),
      tiled(cpu.amx && weight_type != WeightType::kFloat32),
      n(weight_NK.size(0)),
      k(weight_NK.size(1)) {
  const at::Tensor weight = weight_NK.detach().to(at::kCPU, at::kFloat).contiguous();
  k_padded = round_up(k, type == WeightType::kInt8 ? 64 : 32);
  const std::int64_t columns = panels() * kPanel, size = columns * k_padded;
  bias = Buffer<float>(columns);
  if (bias_N.defined()) {
    const at::Tensor given = bias_N.detach().to(at::kCPU, at::kFloat).contiguous();
    std::copy_n(given.const_data_ptr<float>(), n, bias.data());
  }
  if (type == WeightType::kFloat32) floats = Buffer<float>(size);
  if (type == WeightType::kBfloat16) halves = Buffer<std::uint16_t>(size);
  if (type == WeightType::kInt8) {
    int8s = Buffer<std::int8_t>(size);
    scales = Buffer<float>(columns);
  }
  tiled ? pack_tiles(weight.const_data_ptr<float>()) : pack_rows(weight.const_data_ptr<float>());
}

void PackedMatrix::quantize(const float* weight_NK, std::int8_t* out_NK) {
  for (std::int64_t row = 0; row < n; ++row) {
    const float* from = weight_NK + row * k;
    float largest = 0;
    for (std::int64_t i = 0; i < k; ++i) largest = std::max(largest, std::abs(from[i]));
    scales.data()[row] = largest / 127.0F;
    const float inverse = largest > 0 ? 127.0F / largest : 0.0F;
    for (std::int64_t i = 0; i < k; ++i)
      out_NK[row * k + i] = static_cast<std::int8_t>(std::nearbyint(from[i] * inverse));
  }
}

void PackedMatrix::pack_rows(const float* weight_NK) {
  Buffer<std::int8_t> quantized(type == WeightType::kInt8 ? n * k : 0);
  if (type == WeightType::kInt8) quantize(weight_NK, quantized.data());
  for (std::int64_t column = 0; column < n; ++column) {
    const std::int64_t start = column / kPanel * k_padded * kPanel + column % kPanel;
    for (std::int64_t i = 0; i < k; ++i) {
      const std::int64_t to = start + i * kPanel, from = column * k + i;
      if (type == WeightType::kFloat32) floats.data()[to] = weight_NK[from];
      if (type == WeightType::kBfloat16) halves.data()[to] = to_bf16(weight_NK[from]);
      if (type == WeightType::kInt8) int8s.data()[to] = quantized.data()[from];
    }
  }
}

// A tile holds 16 columns; one of its 16 rows holds 4 bytes of each column: 2 or 4 successive k.
void PackedMatrix::pack_tiles(const float* weight_NK) {
  const std::int64_t in_dword = type == WeightType::kInt8 ? 4 : 2, in_tile = 16 * in_dword;
  Buffer<std::int8_t> quantized(type == WeightType::kInt8 ? n * k : 0);
  if (type == WeightType::kInt8) quantize(weight_NK, quantized.data());
  for (std::int64_t column = 0; column < n; ++column) {
    const std::int64_t panel = column / kPanel, half = column % kPanel / 16, lane = column % 16;
    const std::int64_t start = panel * k_padded * kPanel + half * 16 * in_tile + lane * in_dword;
    for (std::int64_t i = 0; i < k; ++i) {
      const std::int64_t step = i / in_tile, row = i % in_tile / in_dword;
      const std::int64_t to = start + step * in_tile * kPanel + row * 16 * in_dword + i % in_dword;
      const std::int64_t from = column * k + i;
      if (type == WeightType::kInt8)
        int8s.data()[to] = quantized.data()[from];
      else
        halves.data()[to] = to_bf16(weight_NK[from]);
    }
  }
}

std::int64_t PackedMatrix::bytes() const {
  return floats.size() * 4 + halves.size() * 2 + int8s.size() + scales.size() * 4;
}

Form best_form(const Cpu& cpu, const PackedMatrix& matrix, std::int64_t rows) {
  if (!cpu.amx) return Form::kFloat;
  switch (matrix.type) {
    case WeightType::kBfloat16:
      return Form::kPlanes1;
    case WeightType::kInt8:
      return Form::kInt8;
    case WeightType::kFloat32:
      break;
  }
  return rows >= kPlanesFromRows ? Form::kPlanes3 : Form::kFloat;
}

void multiply(const Cpu& cpu, const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& epilogue,
              Scratch& scratch) {
  if (x.form != Form::kFloat) return multiply_tiles(matrix, x, part, epilogue, scratch);
  CAPSTAN_ASSERT(!matrix.tiled);
  vector_kernels(cpu).multiply(matrix, x, part, epilogue);
}

}  // namespace capstan::kernels
