// The members of a tar archive and where their bytes lie, without unpacking anything.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace capstan {

struct TarMember {
  std::string name;
  char type = '0';           // '0': a file; others as in the archive ('5': a folder, '2': a link)
  std::uint64_t offset = 0;  // of its bytes in the archive
  std::uint64_t size = 0;
};

// POSIX ustar, old and GNU tar (long names, base-256 sizes), and the path and size records of pax.
// Format: IEEE Std 1003.1 "pax"; GNU tar manual, "Basic Tar Format".
class TarReader {
 public:
  // DataError when the file cannot be read or is compressed; the text has the command that helps.
  explicit TarReader(std::filesystem::path path);

  // Nothing at the end, or where the archive is broken: then problem() says how.
  std::optional<TarMember> next();
  const std::string& problem() const { return problem_; }

  // The bytes of a member. DataError when they cannot be read.
  std::string read(const TarMember& member);

 private:
  static constexpr std::uint64_t kBlock = 512;
  using Block = std::array<char, kBlock>;

  void refuse_compressed();
  std::uint64_t bytes_at(std::uint64_t offset, char* into, std::uint64_t size);
  bool read_header(Block& block);
  bool fill_in(const Block& block, TarMember& member);
  bool read_extension(const TarMember& member, std::string& text);
  bool read_pax(std::string_view records);
  bool broken(std::string problem);

  std::filesystem::path path_;
  std::ifstream file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t next_ = 0;  // of the next header
  std::string problem_;
  std::string long_name_;                   // for the next member
  std::optional<std::uint64_t> long_size_;  // the same
  std::array<char, 4096> window_;           // what was read last: headers and captions lie close together
  std::uint64_t window_start_ = 0, window_size_ = 0;
};

}  // namespace capstan
