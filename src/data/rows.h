// Corpora that are lists of rows, one caption or more each: rows of one picture are put together.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv_reader.h"
#include "data/image_root.h"
#include "data/source_entry.h"

namespace capstan {

struct CaptionRow {
  std::string place;                  // "captions.csv:12"
  std::string image;                  // as written
  std::vector<std::string> captions;  // at least one
  std::string split, id;              // empty: not said
};

using TakeRow = std::function<bool(CaptionRow row)>;  // false: enough
using ReadRows = std::function<void(const TakeRow& take, const SkipRecord& skip)>;

// Why a caption is not taken; nothing when it is.
std::optional<std::string> caption_problem(std::string_view caption);

// The captions of a JSON value that is a text or a list of texts; what is anything else goes to `skip`, with `key` in
// the reason.
void append_captions(const nlohmann::json& value, const std::string& key, std::vector<std::string>& captions,
                     const std::function<void(std::string reason)>& skip);

// `read` is called twice and must give the same rows. The first time finds the pictures whose rows are not together
// (8 bytes of memory a picture); the second offers every picture as soon as its rows end and holds only those others
// back, which come last. The split of a picture is that of its first row that has one.
void merge_rows(const ReadRows& read, const ImageRoot& root, const OfferImage& offer, std::vector<LedgerEntry>& ledger);

// Options of a file of rows with named fields.
struct TableConfig {
  std::string file;
  std::optional<std::string> images;
  std::string image_field = "image";
  std::vector<std::string> caption_fields{"caption"};
  std::string split_field = "split";
  std::optional<std::string> id_field;

  template <class Visitor>
  void fields(Visitor& v) {
    v("file", file, "The captions.");
    v("images", images, "Folder that the names of pictures are relative to; unset: the folder of the file.");
    v("image_field", image_field, "Field with the name of the picture.");
    v("caption_fields", caption_fields, "Fields with captions, one or several.");
    v("split_field", split_field, "Field with the split, where there is one; val, valid and dev mean validation.");
    v("id_field", id_field, "Field with the picture's id; unset: its name is its id.");
  }
  void check(std::vector<std::string>& problems) const;

  ImageRoot root() const;
};

// A format of such a file: it only has to say what its rows are.
class TableFormat : public SourceFormat {
 public:
  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const final;
  std::string describe() const final { return table().file; }

 private:
  virtual const TableConfig& table() const = 0;
  virtual void read_rows(const TakeRow& take, const SkipRecord& skip) const = 0;
};

}  // namespace capstan
