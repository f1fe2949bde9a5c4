// Where captioned pictures come from: one plug-in per published format.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capstan/config/node.h"
#include "capstan/core/registry.h"

namespace capstan {

// One picture with all its captions, before anything is decoded.
struct CaptionedImage {
  std::string image_id;        // as the corpus names it: "391895"
  std::filesystem::path file;  // to be read
  std::string split;           // "train", "validation", "test"
  std::vector<std::string> captions;
  std::string name;  // the file as the corpus names it, for people; empty: the last part of `file`
};

// A caption or picture that could not be taken, for the error ledger.
struct LedgerEntry {
  std::string file;  // picture or annotation
  std::string reason;
};

class CaptionSource {
 public:
  virtual ~CaptionSource() = default;
  // Everything the source holds, in a fixed order. DataError when the annotations cannot be read;
  // single records that are wrong go to `ledger`.
  virtual std::vector<CaptionedImage> read(std::vector<LedgerEntry>& ledger) const = 0;
  // One line for the cache's manifest: where the pictures came from.
  virtual std::string describe() const { return {}; }
};

struct SourceEntry {
  std::string name;
  std::string summary;
  // Reads the plug-in's own Config strictly from `config` and reports into `problems`; no work is done yet.
  std::function<std::unique_ptr<CaptionSource>(const config::Node& config, config::Problems& problems)> make;
  std::function<std::string()> document;  // markdown table of its Config
};
const Registry<SourceEntry>& sources();

}  // namespace capstan
