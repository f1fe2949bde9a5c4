// The row by row work of an engine, compiled for each instruction set; vector.inl is the one source of all of them.
#pragma once
#include <cstdint>

#include "generate/kernels/matrix.h"

namespace capstan::kernels {

// One text and one head over the tokens before and at its position. Position t lies at t * position_stride +
// slots[t] * slot_stride in keys and values, which are float32 or bfloat16.
struct SelfAttention {
  const float* query;  // [head_size]
  const void* keys;
  const void* values;
  const std::int32_t* slots;
  std::int64_t length, position_stride, slot_stride, head_size;
  float scale;
  float* scores;  // [length] for the kernel's use
  float* out;     // [head_size]
};

// All texts of one picture and one head. Keys lie [head_size, num_padded], values [num_keys, head_padded].
struct CrossAttention {
  const float* query;  // [rows, ld]
  const void* keys;
  const void* values;
  std::int64_t rows, ld, num_keys, num_padded, head_size, head_padded;
  float scale;
  float* scores;  // [4, num_padded] for the kernel's use
  float* out;     // [rows, ld]
};

struct VectorKernels {
  void (*multiply)(const PackedMatrix&, const Operand&, const Part&, const Epilogue&);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, std::int64_t n, float* out);
  void (*to_planes)(const float* x, std::int64_t n, int num_planes, std::uint16_t* out, std::int64_t plane_stride);
  void (*to_int8)(const float* x, std::int64_t n, std::int8_t* high, std::int8_t* low, float* scale);
  void (*self_attention_f32)(const SelfAttention&);
  void (*self_attention_bf16)(const SelfAttention&);
  void (*cross_attention_f32)(const CrossAttention&);
  void (*cross_attention_bf16)(const CrossAttention&);
};

VectorKernels plain_kernels();
VectorKernels avx2_kernels();  // plain ones where the build has none
VectorKernels avx512_kernels();
VectorKernels vector_kernels(const Cpu& cpu);

// With AMX only.
void multiply_tiles(const PackedMatrix& matrix, const Operand& x, const Part& part, const Epilogue& epilogue,
                    Scratch& scratch);

}  // namespace capstan::kernels
