// The header of a safetensors file: parsed from untrusted bytes, and written.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"

namespace capstan {

struct TensorEntry {
  std::string name;
  c10::ScalarType dtype = c10::ScalarType::Float;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // bytes from the start of the data
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in the order of their data, which they cover without overlap or gap
  Metadata metadata;
  std::uint64_t data_offset = 0;  // where the data starts in the file
};

// Checks everything a reader relies on: afterwards each entry lies inside `file` and has the size of its shape.
// CheckpointError names `path`, what was found and what was expected.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path);

// The size field and the JSON, padded with spaces to a multiple of 8 bytes.
std::string make_safetensors_header(const std::vector<TensorEntry>& tensors, const Metadata& metadata);

// Where a type stands in the file: larger elements first, so that all data is aligned; the order of the
// reference implementation. UnsupportedError for a type the format does not share with torch.
int dtype_rank(c10::ScalarType dtype, const std::string& tensor_name);

// A name as it may stand in a message: quoted, control characters escaped, long names cut.
std::string shown(const std::string& name);

}  // namespace capstan
