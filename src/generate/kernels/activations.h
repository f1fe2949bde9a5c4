// The left side of products, in memory that is taken once.
#pragma once
#include "generate/kernels/vector.h"

namespace capstan::kernels {

class Activations {
 public:
  Activations() = default;
  // Room for max_rows rows of up to max_width numbers in every form that this processor may choose.
  Activations(const Cpu& cpu, std::int64_t max_rows, std::int64_t max_width);

  // x as the left side of `matrix`: rows of `width` numbers. Forms other than kFloat are filled by set().
  Operand operand(const Cpu& cpu, const PackedMatrix& matrix, const float* x, std::int64_t rows) const;
  // Row `row` of x for that operand; every row once, by any thread.
  static void set(const VectorKernels& vector, const Operand& operand, std::int64_t row, const float* x,
                  std::int64_t width);

 private:
  std::int64_t plane_rows_ = 0;
  Buffer<std::uint16_t> planes_;
  Buffer<std::int8_t> int8s_;
  Buffer<float> scales_;
};

}  // namespace capstan::kernels
