#include "data/csv_reader.h"

#include <fmt/format.h>

namespace capstan {

CsvReader::CsvReader(std::filesystem::path path, char separator) : file_(std::move(path)), separator_(separator) {}

bool CsvReader::next(std::vector<std::string>& fields, const SkipRecord& skip) {
  for (;;) {
    row_line_ = line_;
    second_offset_ = 0;
    switch (read_row(fields)) {
      case Outcome::kRow:
        return true;
      case Outcome::kEnd:
        return false;
      case Outcome::kBlank:
        break;
      case Outcome::kUnclosed:
        skip(place(), "a quote is opened and not closed; write a quote inside quotes twice");
        resume();
        break;
      case Outcome::kTooLong:
        skip(place(), fmt::format("the row has more than {} bytes", kMaxRow));
        resume();
        break;
    }
  }
}

// Whether `c` ends a line; a CR takes the LF after it along. `field` gets the line's end as it is written.
bool CsvReader::end_line(int c, std::string* field) {
  if (c != '\n' && c != '\r') return false;
  if (field != nullptr) *field += static_cast<char>(c);
  if (c == '\r' && file_.peek() == '\n') {
    file_.get();
    if (field != nullptr) *field += '\n';
  }
  ++line_;
  if (second_offset_ == 0) second_offset_ = file_.offset();
  return true;
}

CsvReader::Outcome CsvReader::read_row(std::vector<std::string>& fields) {
  enum class State { kStart, kPlain, kQuoted, kAfterQuote };
  State state = State::kStart;
  bool any_quote = false;
  fields.assign(1, {});
  for (std::size_t size = 0;; ++size) {
    const int c = file_.get();
    const bool blank = fields.size() == 1 && fields[0].empty() && !any_quote;
    if (c == TextFile::kEnd) {
      if (state == State::kQuoted) return Outcome::kUnclosed;
      return blank ? Outcome::kEnd : Outcome::kRow;
    }
    if (size > kMaxRow) return state == State::kQuoted ? Outcome::kUnclosed : Outcome::kTooLong;
    if (state == State::kQuoted) {
      if (c == '"')
        state = State::kAfterQuote;
      else if (!end_line(c, &fields.back()))
        fields.back() += static_cast<char>(c);
    } else if (end_line(c, nullptr)) {
      return blank ? Outcome::kBlank : Outcome::kRow;
    } else if (c == static_cast<unsigned char>(separator_)) {
      fields.emplace_back();
      state = State::kStart;
    } else if (c == '"' && state == State::kStart) {
      state = State::kQuoted;
      any_quote = true;
    } else {
      if (c == '"' && state == State::kAfterQuote)
        state = State::kQuoted;  // a doubled quote stands for one
      else
        state = State::kPlain;
      fields.back() += static_cast<char>(c);
    }
  }
}

// To the line after the one in which the row began.
void CsvReader::resume() {
  if (second_offset_ != 0) {
    file_.seek(second_offset_);
    line_ = row_line_ + 1;
    return;
  }
  for (int c = file_.get(); c != TextFile::kEnd; c = file_.get())
    if (end_line(c, nullptr)) return;
}

}  // namespace capstan
