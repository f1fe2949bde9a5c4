#include "data/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::uint64_t kMaxExtension = std::uint64_t{1} << 20;  // of a long name or a pax header

struct Compression {
  std::string_view start;
  const char* name;
  const char* command;
};

constexpr Compression kCompressions[] = {{"\x1F\x8B", "gzip", "gunzip"},
                                         {"BZh", "bzip2", "bunzip2"},
                                         {{"\xFD\x37\x7A\x58\x5A\x00", 6}, "xz", "unxz"},
                                         {"\x28\xB5\x2F\xFD", "Zstandard", "unzstd"},
                                         {"\x04\x22\x4D\x18", "LZ4", "unlz4"},
                                         {"PK\x03\x04", "zip", "unzip"}};

// Text up to the first zero byte.
std::string_view text_field(std::string_view field) { return field.substr(0, field.find('\0')); }

// Octal digits between blanks, or GNU's big-endian binary with the highest bit set.
std::optional<std::uint64_t> number_field(std::string_view field) {
  std::uint64_t value = 0;
  if (static_cast<unsigned char>(field[0]) == 0x80) {
    for (const char c : field.substr(1)) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  field = text_field(field);
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  for (const char c : field) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value << 3 | static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

// The checksum counts its own field as blanks; some old programs added signed bytes.
bool checksum_holds(std::string_view block) {
  const auto stated = number_field(block.substr(148, 8));
  std::int64_t unsigned_sum = 8 * ' ', signed_sum = 8 * ' ';
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i >= 148 && i < 156) continue;
    unsigned_sum += static_cast<unsigned char>(block[i]);
    signed_sum += static_cast<signed char>(block[i]);
  }
  const auto sum = static_cast<std::int64_t>(stated.value_or(0));
  return stated && (sum == unsigned_sum || sum == signed_sum);
}

// Links, devices and folders have no bytes in the archive, whatever their size field says.
bool has_bytes(char type) { return type < '1' || type > '6'; }

}  // namespace

TarReader::TarReader(std::filesystem::path path) : path_(std::move(path)) {
  if (std::filesystem::is_directory(path_))
    throw DataError(fmt::format("{}: is a folder, expected a tar archive", path_.string()));
  file_.rdbuf()->pubsetbuf(nullptr, 0);
  file_.open(path_, std::ios::binary);
  if (!file_) throw DataError(fmt::format("{}: cannot open for reading: {}", path_.string(), std::strerror(errno)));
  file_size_ = std::filesystem::file_size(path_);
  refuse_compressed();
  if (file_size_ == 0) broken("the archive is empty");
}

void TarReader::refuse_compressed() {
  std::array<char, 6> start{};
  const std::string_view found(start.data(), bytes_at(0, start.data(), start.size()));
  for (const Compression& compression : kCompressions)
    if (found.starts_with(compression.start))
      throw DataError(
          fmt::format("{0}: is compressed with {1}, but pictures are read from the archive in place; decompress it "
                      "first: {2} {0}",
                      path_.string(), compression.name, compression.command));
}

// How many of `size` bytes there are.
std::uint64_t TarReader::bytes_at(std::uint64_t offset, char* into, std::uint64_t size) {
  if (offset >= file_size_) return 0;
  size = std::min(size, file_size_ - offset);
  const bool inside = offset >= window_start_ && offset + size <= window_start_ + window_size_;
  const bool small = size <= window_.size();
  char* const target = small ? window_.data() : into;
  if (!inside) {
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(target, static_cast<std::streamsize>(small ? window_.size() : size));
    if (file_.bad()) throw DataError(fmt::format("{}: cannot read: {}", path_.string(), std::strerror(errno)));
    const auto got = static_cast<std::uint64_t>(file_.gcount());
    if (!small) return got;
    window_start_ = offset;
    window_size_ = got;
    size = std::min(size, got);
  }
  std::memcpy(into, window_.data() + (offset - window_start_), size);
  return size;
}

bool TarReader::broken(std::string problem) {
  problem_ = std::move(problem);
  next_ = file_size_;
  return false;
}

// False at the end of the archive: a block of zeros, as Python's tarfile does, or simply no more bytes.
bool TarReader::read_header(Block& block) {
  if (!problem_.empty() || next_ == file_size_) return false;
  if (next_ > file_size_) return broken(fmt::format("the archive is cut off after {} bytes", file_size_));
  const std::uint64_t got = bytes_at(next_, block.data(), kBlock);
  if (got < kBlock && next_ > 0)
    return broken(fmt::format("the archive ends in the middle of a header, after {} bytes", file_size_));
  if (got == kBlock && std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; })) return false;
  if (got < kBlock || !checksum_holds({block.data(), kBlock}))
    return broken(next_ == 0 ? "is no tar archive"
                             : fmt::format("the header at byte {} is damaged; what follows is lost", next_));
  return true;
}

bool TarReader::fill_in(const Block& block, TarMember& member) {
  const std::string_view header(block.data(), kBlock);
  const auto size = number_field(header.substr(124, 12));
  member.name = text_field(header.substr(0, 100));
  member.type = header[156] == '\0' || header[156] == '7' ? '0' : header[156];
  if (header.substr(257, 6) == std::string_view("ustar\0", 6)) {
    const std::string_view prefix = text_field(header.substr(345, 155));
    if (!prefix.empty()) member.name = std::string(prefix) + "/" + member.name;
  }
  const bool is_extension = member.type == 'x' || member.type == 'g' || member.type == 'L' || member.type == 'K';
  if (!is_extension && !long_name_.empty()) member.name = std::exchange(long_name_, {});
  member.offset = next_ + kBlock;
  member.size = size.value_or(0);
  if (!is_extension && long_size_) member.size = *std::exchange(long_size_, std::nullopt);
  if (!size) return broken(fmt::format("the size of '{}' is damaged; what follows is lost", member.name));
  if (!has_bytes(member.type)) member.size = 0;
  const std::uint64_t left = file_size_ - std::min(file_size_, member.offset);
  if (member.size > left)
    return broken(fmt::format("the archive ends after {} of {} bytes of '{}'", left, member.size, member.name));
  next_ = member.offset + (member.size + kBlock - 1) / kBlock * kBlock;
  return true;
}

bool TarReader::read_extension(const TarMember& member, std::string& text) {
  if (member.size > kMaxExtension)
    return broken(fmt::format("the header at byte {} has {} bytes, expected a long name or pax records of at most {}",
                              member.offset - kBlock, member.size, kMaxExtension));
  text = read(member);
  return true;
}

// "27 path=some/long/name.jpg\n" and so on; the number counts the whole record.
bool TarReader::read_pax(std::string_view records) {
  while (!records.empty() && records.front() != '\0') {
    std::size_t length = 0, digits = 0;
    while (digits < records.size() && digits < 8 && records[digits] >= '0' && records[digits] <= '9')
      length = length * 10 + static_cast<std::size_t>(records[digits++] - '0');
    const bool holds = digits > 0 && length > digits + 1 && length <= records.size() && records[digits] == ' ';
    const std::string_view record = holds ? records.substr(digits + 1, length - digits - 2) : std::string_view{};
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos)
      return broken(fmt::format("the pax header before byte {} is damaged; what follows is lost", next_));
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") long_name_ = value;
    if (key == "size") {
      const bool number = !value.empty() && value.size() < 19 && value.find_first_not_of("0123456789") == value.npos;
      if (!number) return broken(fmt::format("the pax header before byte {} has no number as size", next_));
      long_size_ = std::stoull(std::string(value));
    }
    records.remove_prefix(length);
  }
  return true;
}

std::optional<TarMember> TarReader::next() {
  Block block;
  std::string text;
  while (read_header(block)) {
    TarMember member;
    if (!fill_in(block, member)) break;
    switch (member.type) {
      case 'L':
        if (read_extension(member, text)) long_name_ = text_field(text);
        break;
      case 'x':
        if (read_extension(member, text)) read_pax(text);
        break;
      case 'g':
      case 'K':
        break;
      case 'S':
        broken(fmt::format("'{}' is a sparse file, which is not supported; what follows is lost", member.name));
        break;
      default:
        return member;
    }
  }
  return std::nullopt;
}

std::string TarReader::read(const TarMember& member) {
  std::string bytes(member.size, '\0');
  if (bytes_at(member.offset, bytes.data(), member.size) != member.size)
    throw DataError(fmt::format("{}: cannot read '{}': the file became shorter", path_.string(), member.name));
  return bytes;
}

}  // namespace capstan
