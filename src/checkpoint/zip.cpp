// Format: APPNOTE.TXT 6.3 of PKWARE, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14-16 (its end).
#include "checkpoint/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "capstan/core/error.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the real value stands in a 64-bit field

class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError(fmt::format("{}: {}. Not a usable torch.save file; copy or download it again.", path_, what));
  }

  template <class T>
  T get(std::uint64_t at) const {
    if (at > file_.size() || file_.size() - at < sizeof(T)) fail("it ends inside its zip directory");
    T value;
    std::memcpy(&value, file_.data() + at, sizeof value);
    return value;
  }

  std::string text(std::uint64_t at, std::uint64_t length) const {
    if (at > file_.size() || file_.size() - at < length) fail("it ends inside its zip directory");
    return {reinterpret_cast<const char*>(file_.data()) + at, static_cast<std::size_t>(length)};
  }

  std::uint64_t size() const { return file_.size(); }

 private:
  std::span<const std::byte> file_;
  const std::string& path_;
};

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// The end record is the last one; a comment of up to 65535 bytes may follow it.
std::uint64_t find_end(const Reader& file) {
  if (file.size() < kEndBytes) file.fail(fmt::format("it has {} bytes, fewer than an empty archive", file.size()));
  const std::uint64_t last = file.size() - kEndBytes;
  const std::uint64_t first = last - std::min<std::uint64_t>(last, 0xffff);
  for (std::uint64_t at = last + 1; at-- > first;)
    if (file.get<std::uint32_t>(at) == kEnd) return at;
  file.fail("the end of its zip directory is missing");
}

Directory find_directory(const Reader& file) {
  const std::uint64_t end = find_end(file);
  Directory directory{file.get<std::uint32_t>(end + 16), file.get<std::uint32_t>(end + 12)};
  if (end >= kLocatorBytes && file.get<std::uint32_t>(end - kLocatorBytes) == kLocator64) {
    const auto record = file.get<std::uint64_t>(end - kLocatorBytes + 8);
    if (record > file.size() || file.size() - record < kEnd64Bytes || file.get<std::uint32_t>(record) != kEnd64)
      file.fail("the 64-bit end of its zip directory is not where it should be");
    directory = {file.get<std::uint64_t>(record + 48), file.get<std::uint64_t>(record + 40)};
  }
  if (directory.offset > end || end - directory.offset < directory.size)
    file.fail("its zip directory is said to lie outside of it");
  return directory;
}

// Sizes and offset that do not fit 32 bits follow in the extra field of kind 1, in this order.
void read_wide(const Reader& file, std::uint64_t extra, std::uint64_t extra_end,
               std::initializer_list<std::uint64_t*> fields) {
  for (std::uint64_t at = extra; at + 4 <= extra_end;) {
    const auto kind = file.get<std::uint16_t>(at);
    const std::uint64_t end = at + 4 + file.get<std::uint16_t>(at + 2);
    if (end > extra_end) file.fail("an extra field of its zip directory is longer than its room");
    if (kind == 1) {
      std::uint64_t value = at + 4;
      for (std::uint64_t* field : fields) {
        if (*field != kIn64) continue;
        if (value + 8 > end) file.fail("a 64-bit size of its zip directory is missing");
        *field = file.get<std::uint64_t>(value);
        value += 8;
      }
      return;
    }
    at = end;
  }
}

// Where the content of an entry begins is told only by the header in front of it.
ZipEntry locate(const Reader& file, const std::string& name, std::uint64_t local, std::uint64_t size,
                std::uint64_t directory) {
  if (local > directory || directory - local < kLocalBytes || file.get<std::uint32_t>(local) != kLocal)
    file.fail(fmt::format("the entry {} does not begin where the directory says", shown(name)));
  const std::uint64_t offset =
      local + kLocalBytes + file.get<std::uint16_t>(local + 26) + file.get<std::uint16_t>(local + 28);
  if (offset > directory || directory - offset < size)
    file.fail(fmt::format("the entry {} is said to hold {} bytes, more than the file has", shown(name), size));
  return {offset, size};
}

void refuse_overlaps(const Reader& file, const std::map<std::string, ZipEntry>& entries) {
  std::vector<std::pair<ZipEntry, std::string_view>> order;
  for (const auto& [name, entry] : entries)
    if (entry.size > 0) order.emplace_back(entry, name);
  std::ranges::sort(order, {}, [](const auto& item) { return item.first.offset; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i - 1].first.offset + order[i - 1].first.size > order[i].first.offset)
      file.fail(fmt::format("the entries {} and {} overlap", shown(std::string(order[i - 1].second)),
                            shown(std::string(order[i].second))));
}

}  // namespace

bool is_zip(std::span<const std::byte> file) {
  return file.size() >= 2 && file[0] == std::byte{'P'} && file[1] == std::byte{'K'};
}

std::map<std::string, ZipEntry> read_stored_zip(std::span<const std::byte> bytes, const std::string& path) {
  const Reader file(bytes, path);
  const Directory directory = find_directory(file);
  const std::uint64_t end = directory.offset + directory.size;
  std::map<std::string, ZipEntry> entries;
  for (std::uint64_t at = directory.offset; at < end;) {
    if (end - at < kCentralBytes || file.get<std::uint32_t>(at) != kCentral) file.fail("its zip directory is damaged");
    const std::uint64_t name_bytes = file.get<std::uint16_t>(at + 28);
    const std::uint64_t extra = at + kCentralBytes + name_bytes;
    const std::uint64_t extra_end = extra + file.get<std::uint16_t>(at + 30);
    const std::uint64_t next = extra_end + file.get<std::uint16_t>(at + 32);
    if (next > end) file.fail("its zip directory is damaged");
    const std::string name = file.text(at + kCentralBytes, name_bytes);
    if ((file.get<std::uint16_t>(at + 8) & 1) != 0) file.fail(fmt::format("the entry {} is encrypted", shown(name)));
    if (file.get<std::uint16_t>(at + 10) != 0)
      file.fail(fmt::format("the entry {} is compressed; torch.save stores its entries plainly", shown(name)));
    std::uint64_t packed = file.get<std::uint32_t>(at + 20), size = file.get<std::uint32_t>(at + 24);
    std::uint64_t local = file.get<std::uint32_t>(at + 42);
    read_wide(file, extra, extra_end, {&size, &packed, &local});
    if (packed != size) file.fail(fmt::format("the entry {} has two different sizes", shown(name)));
    if (!entries.emplace(name, locate(file, name, local, size, directory.offset)).second)
      file.fail(fmt::format("the entry {} is there twice", shown(name)));
    at = next;
  }
  refuse_overlaps(file, entries);
  return entries;
}

}  // namespace capstan
