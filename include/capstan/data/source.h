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
  std::string split;           // "train", "validation", "test"; empty: the files do not say
  std::vector<std::string> captions;
  std::string name;          // the file as the corpus names it, for people; empty: the last part of `file`
  std::uint64_t offset = 0;  // of a picture inside an archive: where in `file` it begins,
  std::uint64_t size = 0;    // and its bytes; 0: the whole file is the picture

  std::string corpus_name() const { return name.empty() ? file.filename().string() : name; }
};

// A caption or picture that could not be taken, for the error ledger.
struct LedgerEntry {
  std::string file;  // picture or annotation
  std::string reason;
};

using TakeImage = std::function<void(CaptionedImage image)>;

class CaptionSource {
 public:
  virtual ~CaptionSource() = default;
  // Hands everything the source holds to `take`, picture by picture in a fixed order, so that a corpus need not fit
  // into memory. DataError when the annotations cannot be read; single records that are wrong go to `ledger`.
  virtual void read(const TakeImage& take, std::vector<LedgerEntry>& ledger) const = 0;
  // One line for the cache's manifest: where the pictures came from.
  virtual std::string describe() const { return {}; }
  // How often its captions are drawn in training, compared with those of a source of weight 1.
  virtual double weight() const { return 1; }
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
