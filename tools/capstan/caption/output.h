// Captions to standard output, as text, JSON lines or CSV.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "capstan/generate/captioner.h"

namespace capstan::cli {

// The lines for one picture, best caption first:
// - text: "path<TAB>caption", of several captions one line each with the score as a third column;
// - json: {"path", "caption", "score"}, of several captions also "alternatives": [{"caption", "score"}, ...];
// - csv: path,caption,score,rank, one line for each caption, quoted as RFC 4180 says.
// In text, tabs and line ends within a caption become spaces; paths are as they are.
std::string format_captions(const std::string& format, const std::string& path, std::span<const Caption> captions);
// What comes before all lines: the heading of csv.
std::string format_heading(const std::string& format);

// Standard output without a buffer: a caption is seen as soon as it is there.
// Returns false when whoever read it has gone; DataError when it cannot be written for another reason.
bool write_output(std::string_view text);

}  // namespace capstan::cli
