// Standard input as a list of lines that may come slowly, or as one file.
#pragma once
#include <functional>
#include <optional>
#include <string>

namespace capstan::cli {

// Reading ends when `wanted` says no; it is asked several times a second.
class StdinReader {
 public:
  explicit StdinReader(const std::function<bool()>& wanted) : wanted_(wanted) {}
  // Whether the first bytes are those of a JPEG, PNG, GIF, WebP, BMP or TIFF. Reads no further than needed to tell, so
  // that a list that is typed is answered line by line.
  bool begins_as_picture();
  // Everything. `error` is filled when it cannot be read or is larger than 1 GiB.
  std::string rest(std::string& error);
  // The next line without its end; nullopt at the end of all, with `error` filled when that is no proper one.
  std::optional<std::string> line(std::string& error);

 private:
  bool read_more();  // false at the end, on an error or when no more is wanted
  const std::function<bool()>& wanted_;
  std::string buffer_;
  std::size_t begin_ = 0;  // what is before has been handed out
  std::string error_;
};

}  // namespace capstan::cli
