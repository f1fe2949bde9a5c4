// Comma-separated values (RFC 4180): quoted fields with separators, line ends and doubled quotes in them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/text_file.h"

namespace capstan {

// Why the record at `place` cannot be taken.
using SkipRecord = std::function<void(std::string place, std::string reason)>;

// As Python's csv module reads: quotes count at the beginning of a field only, CR, LF and CR LF end a row, and empty
// lines are passed over.
class CsvReader {
 public:
  static constexpr std::size_t kMaxRow = std::size_t{1} << 20;

  CsvReader(std::filesystem::path path, char separator);

  // False at the end. A quote that is not closed within kMaxRow bytes is skipped and reading goes on with the line
  // after it, so that one stray quote does not swallow the rest of the file.
  bool next(std::vector<std::string>& fields, const SkipRecord& skip);
  std::string place() const { return file_.place(row_line_); }  // of the row read last

 private:
  enum class Outcome { kRow, kBlank, kEnd, kUnclosed, kTooLong };
  Outcome read_row(std::vector<std::string>& fields);
  bool end_line(int c, std::string* field);
  void resume();

  TextFile file_;
  char separator_;
  std::int64_t line_ = 1;            // where the next byte is
  std::int64_t row_line_ = 1;        // where the row began
  std::uint64_t second_offset_ = 0;  // of the line after it; 0: not yet reached
};

}  // namespace capstan
