// Parsing takes nothing in the file for granted: every count, offset and name may be a lie.
#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "capstan/core/error.h"

namespace capstan {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

using nlohmann::json;
using ParseEvent = json::parse_event_t;

constexpr std::uint64_t kSizeBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kMaxRank = 64;

struct DtypeName {
  std::string_view name;
  c10::ScalarType dtype;
};

// In file order (dtype_rank).
constexpr std::array<DtypeName, 10> kDtypes{{{"I64", c10::ScalarType::Long},
                                             {"F64", c10::ScalarType::Double},
                                             {"F32", c10::ScalarType::Float},
                                             {"I32", c10::ScalarType::Int},
                                             {"BF16", c10::ScalarType::BFloat16},
                                             {"F16", c10::ScalarType::Half},
                                             {"I16", c10::ScalarType::Short},
                                             {"I8", c10::ScalarType::Char},
                                             {"U8", c10::ScalarType::Byte},
                                             {"BOOL", c10::ScalarType::Bool}}};

// Turns the JSON into entries while it is parsed, so that a hostile header cannot make a large tree.
class HeaderParser {
 public:
  explicit HeaderParser(const std::string& path) : path_(path) {}

  SafetensorsHeader parse(std::string_view text) {
    const auto watch = [this](int depth, ParseEvent event, json& value) { return on_event(depth, event, value); };
    try {
      const json root = json::parse(text.begin(), text.end(), watch);
    } catch (const json::exception& error) {
      fail(fmt::format("the header is not JSON: {}", error.what()));
    }
    return std::move(header_);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError(
        fmt::format("{}: {}. Not a usable safetensors file; copy or download it again.", path_, what));
  }

 private:
  // Depth 0 is the root object, 1 an entry, 2 its shape and offsets, 3 the numbers inside them.
  bool on_event(int depth, ParseEvent event, json& value) {
    switch (event) {
      case ParseEvent::object_start:
      case ParseEvent::array_start:
        if (depth > 2) fail("the header is nested deeper than 3 levels");
        if (depth <= 1 && event == ParseEvent::array_start) fail(place(depth) + " is a list; expected an object");
        if (depth == 1) entry_keys_.clear();
        num_items_ = 0;
        return true;
      case ParseEvent::key:
        return on_key(depth, value.get_ref<const std::string&>());
      case ParseEvent::value:
        if (depth <= 1) fail(place(depth) + " is a plain value; expected an object");
        if (depth == 3 && ++num_items_ > kMaxRank)
          fail(fmt::format("the entry {} has a list of more than {} numbers", shown(name_), kMaxRank));
        return true;
      case ParseEvent::object_end:
        if (depth != 1) return true;
        add_entry(value);
        return false;
      case ParseEvent::array_end:
        return true;
    }
    return true;
  }

  bool on_key(int depth, const std::string& key) {
    if (depth == 1) {
      name_ = key;
      if (!names_.insert(key).second) fail(fmt::format("the name {} appears twice", shown(key)));
    } else if (depth == 2 && !entry_keys_.insert(key).second) {
      fail(fmt::format("the entry {} has the key {} twice", shown(name_), shown(key)));
    }
    return true;
  }

  std::string place(int depth) const { return depth == 0 ? "the header" : "the entry " + shown(name_); }

  void add_entry(const json& value) {
    if (name_ == "__metadata__") return add_metadata(value);
    TensorEntry entry;
    entry.name = name_;
    entry.dtype = read_dtype(member(value, "dtype"));
    for (const std::uint64_t size : read_numbers(value, "shape")) {
      if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail(fmt::format("the shape of {} overflows", shown(name_)));
      entry.shape.push_back(static_cast<std::int64_t>(size));
    }
    const std::vector<std::uint64_t> offsets = read_numbers(value, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      fail(fmt::format("data_offsets of {} are [{}]; expected [begin, end] with begin <= end", shown(name_),
                       fmt::join(offsets, ", ")));
    entry.begin = offsets[0];
    entry.end = offsets[1];
    check_size(entry);
    header_.tensors.push_back(std::move(entry));
  }

  void add_metadata(const json& value) {
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail(fmt::format("__metadata__ has {} that is not a string", shown(key)));
      header_.metadata[key] = text.get<std::string>();
    }
  }

  const json& member(const json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end()) fail(fmt::format("the entry {} has no '{}'", shown(name_), key));
    return *found;
  }

  c10::ScalarType read_dtype(const json& value) const {
    if (!value.is_string()) fail(fmt::format("the dtype of {} is not a string", shown(name_)));
    const auto& text = value.get_ref<const std::string&>();
    const auto found = std::ranges::find(kDtypes, text, &DtypeName::name);
    if (found != kDtypes.end()) return found->dtype;
    std::vector<std::string_view> known;
    for (const DtypeName& dtype : kDtypes) known.push_back(dtype.name);
    throw CheckpointError(fmt::format("{}: the tensor {} has the dtype {}; this version reads {}. Convert the file.",
                                      path_, shown(name_), shown(text), fmt::join(known, ", ")));
  }

  std::vector<std::uint64_t> read_numbers(const json& value, const char* key) const {
    const json& list = member(value, key);
    if (!list.is_array()) fail(fmt::format("'{}' of {} is not a list", key, shown(name_)));
    std::vector<std::uint64_t> numbers;
    for (const json& item : list) {
      if (!item.is_number_unsigned())
        fail(fmt::format("'{}' of {} holds {}; expected whole numbers from 0 to 2^64 - 1", key, shown(name_),
                         item.is_structured() ? "a list or object" : item.dump(-1, ' ', true)));
      numbers.push_back(item.get<std::uint64_t>());
    }
    return numbers;
  }

  void check_size(const TensorEntry& entry) const {
    std::uint64_t bytes = c10::elementSize(entry.dtype);
    const bool empty = std::ranges::find(entry.shape, 0) != entry.shape.end();
    for (const std::int64_t size : entry.shape) {
      // Also for empty tensors: strides are products of the other sizes.
      const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
      if (bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor)
        fail(fmt::format("the shape [{}] of {} overflows", fmt::join(entry.shape, ", "), shown(name_)));
      bytes *= factor;
    }
    if (empty) bytes = 0;
    if (entry.end - entry.begin != bytes)
      fail(fmt::format("the tensor {} holds {} bytes; its shape [{}] needs {}", shown(name_), entry.end - entry.begin,
                       fmt::join(entry.shape, ", "), bytes));
  }

  const std::string& path_;
  SafetensorsHeader header_;
  std::set<std::string> names_;
  std::set<std::string> entry_keys_;
  std::string name_;
  std::size_t num_items_ = 0;
};

void check_layout(std::vector<TensorEntry>& tensors, std::uint64_t data_bytes, const HeaderParser& parser) {
  std::ranges::sort(tensors, [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t expected = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.end > data_bytes)
      parser.fail(fmt::format("the tensor {} ends at byte {} of the data, but the file holds only {}",
                              shown(entry.name), entry.end, data_bytes));
    if (entry.begin != expected)
      parser.fail(fmt::format("the data of {} starts at byte {}, where {} was expected ({})", shown(entry.name),
                              entry.begin, expected, entry.begin < expected ? "it overlaps another tensor" : "a gap"));
    expected = entry.end;
  }
  if (expected != data_bytes)
    parser.fail(fmt::format("the tensors end at byte {} of the data, but the file holds {}", expected, data_bytes));
}

}  // namespace

std::string shown(const std::string& name) {
  constexpr std::size_t kMaxShown = 120;
  return json(name.substr(0, kMaxShown)).dump(-1, ' ', true, json::error_handler_t::replace) +
         (name.size() > kMaxShown ? "..." : "");
}

int dtype_rank(c10::ScalarType dtype, const std::string& tensor_name) {
  const auto found = std::ranges::find(kDtypes, dtype, &DtypeName::dtype);
  if (found == kDtypes.end())
    throw UnsupportedError(fmt::format("the tensor {} has the type {}, which is not written to safetensors files",
                                       shown(tensor_name), c10::toString(dtype)));
  return static_cast<int>(found - kDtypes.begin());
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path) {
  HeaderParser parser(path);
  if (file.size() < kSizeBytes)
    parser.fail(fmt::format("the file holds {} bytes; even an empty one has {}", file.size(), kSizeBytes + 2));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), kSizeBytes);
  const std::uint64_t rest = file.size() - kSizeBytes;
  if (header_bytes > rest)
    parser.fail(fmt::format("the header claims {} bytes, but only {} follow", header_bytes, rest));
  if (header_bytes > kMaxHeaderBytes)
    parser.fail(fmt::format("the header claims {} bytes; at most {} are read", header_bytes, kMaxHeaderBytes));
  const auto* text = reinterpret_cast<const char*>(file.data()) + kSizeBytes;
  SafetensorsHeader header = parser.parse({text, static_cast<std::size_t>(header_bytes)});
  header.data_offset = kSizeBytes + header_bytes;
  check_layout(header.tensors, rest - header_bytes, parser);
  return header;
}

std::string make_safetensors_header(const std::vector<TensorEntry>& tensors, const Metadata& metadata) {
  nlohmann::ordered_json root;
  root["__metadata__"] = metadata;
  for (const TensorEntry& entry : tensors) {
    nlohmann::ordered_json& item = root[entry.name];
    item["dtype"] = kDtypes[static_cast<std::size_t>(dtype_rank(entry.dtype, entry.name))].name;
    item["shape"] = entry.shape;
    item["data_offsets"] = {entry.begin, entry.end};
  }
  std::string text = root.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = text.size();
  std::string bytes(kSizeBytes, '\0');
  std::memcpy(bytes.data(), &size, kSizeBytes);
  return bytes + text;
}

}  // namespace capstan
