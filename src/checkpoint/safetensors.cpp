// Reading: the file is mapped once and the tensors look into it.
#include "capstan/checkpoint/safetensors.h"

#include <memory>

#include "checkpoint/mapping.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {

TensorMap read_safetensors(const std::filesystem::path& path, Metadata* metadata) {
  const auto mapping = std::make_shared<PrivateMapping>(path, "a safetensors file");
  const SafetensorsHeader header = parse_safetensors_header(mapping->bytes(), path.string());
  TensorMap tensors;
  for (const TensorEntry& entry : header.tensors) {
    const auto bytes = mapping->bytes().subspan(header.data_offset + entry.begin, entry.end - entry.begin);
    // A header that is not padded leaves the data unaligned.
    tensors.emplace(entry.name, tensor_in(as_storage(mapping, bytes, entry.dtype, path, entry.name), entry.shape));
  }
  if (metadata != nullptr) *metadata = header.metadata;
  return tensors;
}

}  // namespace capstan
