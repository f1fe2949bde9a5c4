// The vector kernels with AVX-512.
#include "generate/kernels/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace capstan::kernels {
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
namespace avx512 {

#define CAPSTAN_WIDTH 16
#include "generate/kernels/vector.inl"

}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

VectorKernels avx512_kernels() { return avx512::table(); }

}  // namespace capstan::kernels

#else

namespace capstan::kernels {
VectorKernels avx512_kernels() { return plain_kernels(); }
}  // namespace capstan::kernels

#endif
