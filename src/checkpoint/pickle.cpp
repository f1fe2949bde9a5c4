// From the values of a pickle to tensors whose sizes can be trusted.
#include "checkpoint/pickle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <set>

#include "checkpoint/pickle_machine.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

constexpr std::size_t kMaxRank = 64;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::vector<std::int64_t> numbers(const PickleValue& sequence) {
  std::vector<std::int64_t> result;
  for (const PickleValue* const item : sequence.items) result.push_back(item->number);
  return result;
}

// Whether the last element lies inside the storage, and no more elements are claimed than it has: a tensor that
// repeats its elements could claim any size for nothing.
bool fits(const PickledTensor& tensor) {
  if (tensor.sizes.size() != tensor.strides.size() || tensor.sizes.size() > kMaxRank) return false;
  const auto room = static_cast<std::int64_t>(tensor.storage_numel);
  std::int64_t last = tensor.offset, numel = 1;
  bool empty = false;
  for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
    const std::int64_t size = tensor.sizes[i], stride = tensor.strides[i];
    if (size < 0 || stride < 0) return false;
    if (size == 0) {
      empty = true;
      continue;
    }
    if (numel > kMost / size) return false;
    numel *= size;
    if (size == 1) continue;
    if (stride > kMost / (size - 1) || last > kMost - stride * (size - 1)) return false;
    last += stride * (size - 1);
  }
  // Empty tensors keep no elements, but torch multiplies their other sizes.
  return tensor.offset >= 0 && (empty ? numel <= kMost / 16 : last < room && numel <= room);
}

}  // namespace

std::vector<PickledTensor> read_state_dict(std::span<const std::byte> pickle, const std::string& path) {
  PickleMachine machine(pickle, path);
  const PickleValue& root = machine.run();
  if (root.kind != PickleKind::kDict)
    machine.fail(fmt::format("it holds {}; expected a state_dict, a dictionary of tensors", kind_name(root.kind)));
  std::vector<PickledTensor> tensors;
  std::set<std::string> names;
  for (std::size_t i = 0; i + 1 < root.items.size(); i += 2) {
    const PickleValue &key = *root.items[i], &value = *root.items[i + 1];
    if (key.kind != PickleKind::kString)
      machine.fail(fmt::format("a key of its dictionary is {}; expected the name of a tensor", kind_name(key.kind)));
    if (value.kind != PickleKind::kTensor)
      machine.fail(fmt::format("its entry {} is {}; expected a state_dict, a dictionary of tensors only",
                               shown(key.text), kind_name(value.kind)));
    if (!names.insert(key.text).second) machine.fail(fmt::format("the name {} appears twice", shown(key.text)));
    const PickleValue& storage = *value.items[0];
    PickledTensor tensor{.name = key.text,
                         .storage = storage.text,
                         .dtype = storage.dtype,
                         .storage_numel = static_cast<std::uint64_t>(storage.number),
                         .offset = value.items[1]->number,
                         .sizes = numbers(*value.items[2]),
                         .strides = numbers(*value.items[3])};
    if (!fits(tensor))
      machine.fail(
          fmt::format("the tensor {} of sizes [{}], strides [{}] and offset {} does not fit its storage of "
                      "{} elements",
                      shown(tensor.name), fmt::join(tensor.sizes, ", "), fmt::join(tensor.strides, ", "), tensor.offset,
                      tensor.storage_numel));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace capstan
