// Records are packed as numbers and length-prefixed texts; only this file reads them again, in the same process.
#include "capstan/data/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/signals.h"
#include "data/picture_task.h"
#include "data/record_file.h"
#include "data/split_rule.h"

namespace capstan {
namespace {

constexpr std::size_t kErrorsShown = 3;

template <class Number>
void pack(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void pack(std::string& bytes, const std::string& text) {
  pack(bytes, static_cast<std::uint64_t>(text.size()));
  bytes += text;
}

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number<std::uint64_t>())); }

 private:
  std::string_view take(std::uint64_t size) {
    CAPSTAN_ASSERT(size <= bytes_.size());
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }
  std::string_view bytes_;
};

std::string pack_record(const CaptionedImage& image, std::int32_t source) {
  std::string bytes;
  pack(bytes, source);
  pack(bytes, image.offset);
  pack(bytes, image.size);
  for (const std::string* text : {&image.image_id, &image.file.native(), &image.split, &image.name}) pack(bytes, *text);
  pack(bytes, static_cast<std::uint64_t>(image.captions.size()));
  for (const std::string& caption : image.captions) pack(bytes, caption);
  return bytes;
}

Corpus::Record unpack_record(std::string_view bytes) {
  Unpacker unpacker(bytes);
  Corpus::Record record;
  record.source = unpacker.number<std::int32_t>();
  record.image.offset = unpacker.number<std::uint64_t>();
  record.image.size = unpacker.number<std::uint64_t>();
  record.image.image_id = unpacker.text();
  record.image.file = unpacker.text();
  record.image.split = unpacker.text();
  record.image.name = unpacker.text();
  record.image.captions.resize(unpacker.number<std::uint64_t>());
  for (std::string& caption : record.image.captions) caption = unpacker.text();
  return record;
}

}  // namespace

struct Corpus::Impl {
  Impl(const CaptionFilterConfig& filter_config, std::int64_t max_errors_in, const std::filesystem::path& folder)
      : filter(filter_config), max_errors(max_errors_in), records(folder) {}

  void read(const CaptionSource& source) {
    const auto number = static_cast<std::int32_t>(sources.size());
    sources.push_back({source.describe(), source.weight()});
    source.read([&](CaptionedImage image) { add(std::move(image), number); }, errors);
    check_error_count(errors, max_errors);
  }

  void add(CaptionedImage image, std::int32_t source) {
    if (stop_requested()) throw Error("prepare was stopped while it read the annotations; nothing was written");
    if (!is_plain_split(image.split))
      return skip(image, fmt::format("the split's name '{}' is not letters and digits", image.split));
    filter_captions(image);
    if (image.captions.empty()) return skip(image, "the image has no caption");
    const std::string record = pack_record(image, source);
    places[split_number(image.split)].push_back(records.append(record));
    num_captions += static_cast<std::int64_t>(image.captions.size());
    fingerprint = checksum_bytes(fingerprint + checksum_bytes(record));
  }

  void filter_captions(CaptionedImage& image) {
    std::unordered_set<std::string> seen;
    std::vector<std::string> taken;
    for (std::string& caption : image.captions) {
      if (const auto reason = filter.refuse(caption)) {
        skip(image, *reason);
        continue;
      }
      if (!seen.insert(caption_key(caption)).second) {
        const std::string text = fmt::format("duplicate caption: '{}'", caption);
        if (filter.drops_duplicates()) {
          skip(image, text);
          continue;
        }
        notes.push_back({file_text(image), text});
      }
      if (const auto remark = filter.remark(caption)) notes.push_back({file_text(image), *remark});
      taken.push_back(std::move(caption));
    }
    image.captions = std::move(taken);
  }

  void skip(const CaptionedImage& image, std::string reason) {
    errors.push_back({file_text(image), std::move(reason)});
    check_error_count(errors, max_errors);
  }

  std::size_t split_number(const std::string& split) {
    const auto found = std::find(splits.begin(), splits.end(), split);
    if (found != splits.end()) return static_cast<std::size_t>(found - splits.begin());
    splits.push_back(split);
    places.emplace_back();
    return splits.size() - 1;
  }

  const CaptionFilter filter;
  const std::int64_t max_errors;
  RecordFile records;
  std::vector<std::string> splits;
  std::vector<std::vector<std::uint64_t>> places;  // of each split's records
  std::vector<CorpusSource> sources;
  std::vector<LedgerEntry> errors, notes;
  std::int64_t num_captions = 0;
  std::string fingerprint = "corpus 1";
};

Corpus::Corpus(const std::vector<std::unique_ptr<CaptionSource>>& sources, const CaptionFilterConfig& filter,
               std::int64_t max_errors, const std::filesystem::path& folder)
    : impl_(std::make_unique<Impl>(filter, max_errors, folder)) {
  for (const auto& source : sources) impl_->read(*source);
  impl_->records.finish();
  if (impl_->splits.empty())
    throw DataError(
        fmt::format("the data set is empty: no picture with a caption was found{}", first_errors_text(impl_->errors)));
}

Corpus::~Corpus() = default;

const std::vector<std::string>& Corpus::splits() const { return impl_->splits; }
const std::vector<CorpusSource>& Corpus::sources() const { return impl_->sources; }
const std::vector<LedgerEntry>& Corpus::errors() const { return impl_->errors; }
const std::vector<LedgerEntry>& Corpus::notes() const { return impl_->notes; }
const std::string& Corpus::fingerprint() const { return impl_->fingerprint; }
std::int64_t Corpus::num_captions() const { return impl_->num_captions; }

std::int64_t Corpus::num_images(std::size_t split) const {
  return static_cast<std::int64_t>(impl_->places.at(split).size());
}

std::int64_t Corpus::num_images() const {
  std::int64_t images = 0;
  for (const auto& places : impl_->places) images += static_cast<std::int64_t>(places.size());
  return images;
}

Corpus::Record Corpus::read(std::size_t split, std::int64_t index) const {
  return unpack_record(impl_->records.read(impl_->places.at(split).at(static_cast<std::size_t>(index))));
}

std::vector<std::string> Corpus::captions(const std::string& split) const {
  std::vector<std::string> all;
  for (std::size_t number = 0; number < impl_->splits.size(); ++number) {
    if (impl_->splits[number] != split) continue;
    for (const std::uint64_t place : impl_->places[number])
      for (std::string& caption : unpack_record(impl_->records.read(place)).image.captions)
        all.push_back(std::move(caption));
  }
  return all;
}

std::string first_errors_text(const std::vector<LedgerEntry>& errors) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kErrorsShown, errors.size()); ++i)
    text += fmt::format("\n  {}: {}", errors[i].file, errors[i].reason);
  return text.empty() ? text : "; the first errors:" + text;
}

void check_error_count(const std::vector<LedgerEntry>& errors, std::int64_t max_errors) {
  if (max_errors >= 0 && errors.size() > static_cast<std::size_t>(max_errors))
    throw DataError(
        fmt::format("{} errors, more than max_errors={}{}", errors.size(), max_errors, first_errors_text(errors)));
}

}  // namespace capstan
