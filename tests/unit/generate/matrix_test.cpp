// Products with packed weights against at::matmul.
#include "generate/kernels/matrix.h"

#include "capstan/nn/init.h"
#include "generate/kernels/activations.h"
#include "generate/kernels/vector.h"
#include "support/test_pch.h"

using namespace capstan;
using namespace capstan::kernels;

namespace {

at::Tensor random_matrix(std::int64_t rows, std::int64_t columns, const char* name) {
  const at::Tensor x = at::zeros({rows, columns});
  init_normal(x, 1, 9, name);
  return x;
}

// x W^T + bias by the form that the engine would choose, or by the vector kernels.
at::Tensor product(const Cpu& cpu, const PackedMatrix& matrix, const at::Tensor& x) {
  const std::int64_t rows = x.size(0);
  const VectorKernels vector = vector_kernels(cpu);
  const Activations activations(cpu, rows, x.size(1));
  const Operand operand = activations.operand(cpu, matrix, x.const_data_ptr<float>(), rows);
  for (std::int64_t row = 0; row < rows; ++row)
    Activations::set(vector, operand, row, x.const_data_ptr<float>() + row * x.size(1), x.size(1));
  at::Tensor y = at::full({rows, matrix.n}, 7.0F);
  Scratch scratch;
  scratch.tiles = Buffer<std::uint16_t>(3 * round_up(matrix.k, 64) * kPanel);
  const TileScope tiles(cpu);
  multiply(cpu, matrix, operand, {.rows = {0, rows}, .panels = {0, matrix.panels()}},
           {.out = y.mutable_data_ptr<float>(), .ld = matrix.n}, scratch);
  return y;
}

double relative(const at::Tensor& ours, const at::Tensor& expected) {
  return ((ours - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("packed products are those of at::matmul in every form", "[generate][kernels]") {
  Cpu cpus[] = {detect_cpu(), detect_cpu(), detect_cpu(), Cpu{}};
  cpus[1].amx = cpus[2].amx = false;
  if (cpus[2].isa == Isa::kAvx512) cpus[2].isa = Isa::kAvx2;
  // 300 k are two pieces of a panel and a rest; 600 rows are two groups of sums and a rest.
  const at::Tensor weight = random_matrix(70, 300, "weight"), bias = random_matrix(1, 70, "bias")[0];
  for (const Cpu& cpu : cpus)
    for (const WeightType type : {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kInt8}) {
      const PackedMatrix matrix(weight, bias, type, cpu);
      const bool rounded = type != WeightType::kFloat32;
      at::Tensor held = weight;  // what is left of the weights
      if (type == WeightType::kBfloat16) held = weight.to(at::kBFloat16).to(at::kFloat);
      if (type == WeightType::kInt8) {
        const at::Tensor scale = weight.abs().amax(1, true) / 127;
        held = (weight / scale).round() * scale;
      }
      for (const std::int64_t rows : {1, 8, 9, 16, 17, 33, 600}) {
        at::Tensor x = random_matrix(rows, 300, "x");
        const at::Tensor exact = at::addmm(bias, x, held.t());
        // Tiles of bfloat16 round the left side, too.
        if (type == WeightType::kBfloat16 && cpu.amx) x = x.to(at::kBFloat16).to(at::kFloat);
        const at::Tensor expected = at::addmm(bias, x, held.t()), ours = product(cpu, matrix, x);
        CAPTURE(static_cast<int>(cpu.isa), cpu.amx, static_cast<int>(type), rows);
        // 15 bits of the left side remain with int8 tiles.
        CHECK(relative(ours, expected) <= (type == WeightType::kInt8 && cpu.amx ? 1e-4 : 2e-6));
        if (rounded) CHECK(relative(exact, at::addmm(bias, x, weight.t())) > 1e-4);
      }
    }
}
