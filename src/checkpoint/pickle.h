// The pickle of a state_dict, read by an interpreter that can build plain values and tensors and nothing else.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace capstan {

struct PickledTensor {
  std::string name;
  std::string storage;  // key of the archive's entry that holds its elements
  c10::ScalarType dtype = c10::ScalarType::Float;
  std::uint64_t storage_numel = 0;
  std::int64_t offset = 0;  // in elements, as are the strides
  std::vector<std::int64_t> sizes, strides;
};

// In the order of the dictionary. Sizes are checked to be possible, and to stay inside the storage's claimed length.
// No code is run: an opcode, a global or a call that a state_dict does not need is a CheckpointError that names it.
std::vector<PickledTensor> read_state_dict(std::span<const std::byte> pickle, const std::string& path);

}  // namespace capstan
