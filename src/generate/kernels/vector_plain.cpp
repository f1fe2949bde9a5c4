// The vector kernels for any processor.
#include "generate/kernels/vector.h"

namespace capstan::kernels {
namespace plain {

#define CAPSTAN_WIDTH 4
#include "generate/kernels/vector.inl"

}  // namespace plain

VectorKernels plain_kernels() { return plain::table(); }

VectorKernels vector_kernels(const Cpu& cpu) {
  switch (cpu.isa) {
    case Isa::kAvx512:
      return avx512_kernels();
    case Isa::kAvx2:
      return avx2_kernels();
    case Isa::kPlain:
      break;
  }
  return plain_kernels();
}

}  // namespace capstan::kernels
