// Rows into the form of a product.
#include "generate/kernels/activations.h"

namespace capstan::kernels {

Activations::Activations(const Cpu& cpu, std::int64_t max_rows, std::int64_t max_width)
    : plane_rows_(round_up(max_rows, 32)) {
  if (!cpu.amx) return;
  const std::int64_t size = plane_rows_ * round_up(max_width, 64);
  planes_ = Buffer<std::uint16_t>(3 * size);
  int8s_ = Buffer<std::int8_t>(2 * size);
  scales_ = Buffer<float>(plane_rows_);
}

Operand Activations::operand(const Cpu& cpu, const PackedMatrix& matrix, const float* x, std::int64_t rows) const {
  Operand operand{.form = best_form(cpu, matrix, rows), .rows = rows};
  if (operand.form == Form::kFloat) {
    operand.floats = x;
    operand.ld = matrix.k;
    return operand;
  }
  operand.planes = planes_.data();
  operand.int8s = int8s_.data();
  operand.scales = scales_.data();
  operand.ld = matrix.k_padded;
  operand.plane_stride = plane_rows_ * matrix.k_padded;
  return operand;
}

void Activations::set(const VectorKernels& vector, const Operand& operand, std::int64_t row, const float* x,
                      std::int64_t width) {
  const bool one_tile = operand.rows <= 8;
  switch (operand.form) {
    case Form::kFloat:
      return;
    case Form::kPlanes1:
      return vector.to_planes(x, width, 1, operand.planes + row * operand.ld, 0);
    case Form::kPlanes3:
      return vector.to_planes(x, width, 3, operand.planes + row * operand.ld, operand.plane_stride);
    case Form::kInt8: {
      const std::int64_t place = one_tile ? row : row / 16 * 32 + row % 16;
      std::int8_t* high = operand.int8s + place * operand.ld;
      return vector.to_int8(x, width, high, high + (one_tile ? 8 : 16) * operand.ld, operand.scales + row);
    }
  }
}

}  // namespace capstan::kernels
