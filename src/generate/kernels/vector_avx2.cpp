// The vector kernels with AVX2 and FMA.
#include "generate/kernels/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace capstan::kernels {
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {

#define CAPSTAN_WIDTH 8
#include "generate/kernels/vector.inl"

}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

VectorKernels avx2_kernels() { return avx2::table(); }

}  // namespace capstan::kernels

#else

namespace capstan::kernels {
VectorKernels avx2_kernels() { return plain_kernels(); }
}  // namespace capstan::kernels

#endif
