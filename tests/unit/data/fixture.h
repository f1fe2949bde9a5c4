// A small data set on disk, a tokenizer without files, and short ways to prepare and open a cache.
#pragma once
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "capstan/core/files.h"
#include "capstan/core/random.h"
#include "capstan/core/strings.h"
#include "capstan/data/cache.h"
#include "capstan/data/coco.h"
#include "capstan/data/prepare.h"
#include "capstan/image/decode.h"

namespace capstan::testing {

inline constexpr int kSize = 16;  // pictures of the caches in these tests

// Ids are lengths and first letters of words: enough to tell captions apart.
class FakeTokenizer : public Tokenizer {
 public:
  std::vector<std::int64_t> encode(std::string_view text) const override {
    std::vector<std::int64_t> ids;
    for (const std::string& word : split(text, ' ')) ids.push_back(static_cast<std::int64_t>(stable_hash(word) % 1000));
    return ids;
  }
  std::string decode(std::span<const std::int64_t>, bool) const override { return {}; }
  std::int64_t vocab_size() const override { return 1000; }
  std::optional<std::int64_t> bos_token_id() const override { return std::nullopt; }
  std::optional<std::int64_t> eos_token_id() const override { return 999; }
  std::optional<std::int64_t> pad_token_id() const override { return std::nullopt; }
  std::optional<std::int64_t> unk_token_id() const override { return std::nullopt; }
  std::optional<std::int64_t> token_to_id(std::string_view) const override { return std::nullopt; }
  std::string id_to_token(std::int64_t) const override { return {}; }
  std::string kind() const override { return "fake"; }
  void save(const fs::path& directory) const override { write_file_atomic(directory / "fake.txt", "words\n"); }
};

inline Image noise_image(int height, int width, std::uint64_t seed) {
  Random random(seed);
  Image image{.height = height, .width = width};
  image.rgb.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

// What the source is to hold; pictures are written by the constructor of Dataset.
struct Record {
  std::string id;
  std::vector<std::string> captions;
  std::string split = "train";
};

// Pictures of different sizes as JPEG files and one COCO file per split.
class Dataset {
 public:
  explicit Dataset(std::vector<Record> records) : records_(std::move(records)) {
    fs::create_directories(images());
    for (std::size_t i = 0; i < records_.size(); ++i)
      write_file_atomic(file(i), encode_jpeg(noise_image(20 + static_cast<int>(i % 5), 30, i), 90));
    write_annotations();
  }

  // `count` pictures with one to three captions each, every fifth for validation.
  static std::vector<Record> records(int count) {
    std::vector<Record> result;
    for (int i = 0; i < count; ++i) {
      Record record{.id = std::to_string(100 + i), .captions = {}, .split = i % 5 == 4 ? "validation" : "train"};
      for (int j = 0; j <= i % 3; ++j)
        record.captions.push_back("picture " + std::to_string(i) + " caption" +
                                  std::string(static_cast<std::size_t>(j), 's') + (j == 2 ? " of many words" : ""));
      result.push_back(std::move(record));
    }
    return result;
  }

  const fs::path& path() const { return folder_.path(); }
  fs::path images() const { return path() / "images"; }
  fs::path file(std::size_t i) const { return images() / (records_[i].id + ".jpg"); }
  fs::path annotations(const std::string& split) const { return path() / (split + ".json"); }
  const std::vector<Record>& records() const { return records_; }

  std::vector<Record> of(const std::string& split) const {
    std::vector<Record> result;
    for (const Record& record : records_)
      if (record.split == split) result.push_back(record);
    return result;
  }

 private:
  void write_annotations() const {
    std::map<std::string, nlohmann::json> documents;
    for (const Record& record : records_) {
      auto& document = documents[record.split];
      if (document.is_null())
        document = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}};
      document["images"].push_back({{"id", std::stoi(record.id)}, {"file_name", record.id + ".jpg"}});
      for (const std::string& caption : record.captions)
        document["annotations"].push_back({{"image_id", std::stoi(record.id)}, {"caption", caption}});
    }
    for (const auto& [split, document] : documents) write_file_atomic(annotations(split), document.dump());
  }

  TempDir folder_;
  std::vector<Record> records_;
};

// The data set as a source, without the registry.
class DatasetSource final : public CaptionSource {
 public:
  explicit DatasetSource(const Dataset& dataset) : dataset_(dataset) {}
  void read(const TakeImage& take, std::vector<LedgerEntry>& ledger) const override {
    for (const std::string split : {"train", "validation"}) {
      if (!fs::exists(dataset_.annotations(split))) continue;
      for (auto& image : read_coco(dataset_.annotations(split), dataset_.images(), split, ledger)) take(image);
    }
  }
  std::string describe() const override { return "the test's pictures"; }

 private:
  const Dataset& dataset_;
};

struct PrepareCall : PrepareConfig {
  fs::path output;
  std::string resolved_config;
};

inline PrepareCall options_for(const fs::path& output, const std::string& store = "raw") {
  PrepareCall options;
  options.output = output;
  options.store = store;
  options.image.size = kSize;
  options.images_per_shard = 7;
  options.resolved_config = "store: " + store + "\n";
  return options;
}

inline PrepareSummary prepare_sources(const std::vector<std::unique_ptr<CaptionSource>>& sources,
                                      const PrepareCall& options) {
  const auto tokenizer = [](const Corpus&) { return std::make_shared<const FakeTokenizer>(); };
  return prepare(sources, tokenizer, options, options.output, options.resolved_config);
}

inline PrepareSummary prepare_dataset(const Dataset& dataset, const PrepareCall& options) {
  std::vector<std::unique_ptr<CaptionSource>> list;
  list.push_back(std::make_unique<DatasetSource>(dataset));
  return prepare_sources(list, options);
}

// Every file of a folder with its bytes.
inline std::map<std::string, std::string> files_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files[fs::relative(entry.path(), directory).string()] = read_file(entry.path());
  return files;
}

inline std::vector<std::uint8_t> pixels_of(const Cache& cache, std::int64_t image) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(cache.image_size() * cache.image_size() * 3));
  cache.read_pixels(image, pixels.data());
  return pixels;
}

// Overwrites the first place where `pattern` occurs.
template <class T>
bool patch_file(const fs::path& path, const std::vector<T>& pattern, const std::vector<T>& replacement) {
  std::string bytes = read_file(path);
  const std::string_view wanted(reinterpret_cast<const char*>(pattern.data()), pattern.size() * sizeof(T));
  const std::size_t at = bytes.find(wanted);
  if (at == std::string::npos) return false;
  bytes.replace(at, wanted.size(), reinterpret_cast<const char*>(replacement.data()), replacement.size() * sizeof(T));
  std::ofstream(path, std::ios::binary) << bytes;
  return true;
}

}  // namespace capstan::testing
