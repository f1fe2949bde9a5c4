// Reports over a cache. Everything is read through Cache and Shard, so a damaged one is refused, not described.
#include "capstan/data/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/data/cache.h"
#include "data/manifest.h"
#include "data/shard.h"

namespace capstan {
namespace {

constexpr std::int64_t kHistogramRows = 16;
constexpr int kBarColumns = 40;
constexpr std::size_t kWordsShown = 20;
constexpr int kErrorsShown = 5;
constexpr std::int64_t kImagesShown = 3;

// 12,345: counts and sizes are never negative.
std::string count_text(std::uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}
std::string count_text(std::int64_t count) { return count_text(static_cast<std::uint64_t>(count)); }

// Counts over the captions of all splits.
struct CaptionStatistics {
  std::map<std::int64_t, std::int64_t> lengths;  // tokens -> captions
  std::unordered_map<std::string, std::int64_t> words;

  void add(const Cache& cache) {
    for (std::int64_t i = 0; i < cache.num_captions(); ++i) {
      ++lengths[cache.num_tokens(i)];
      add_words(to_lower_ascii(cache.caption(i)));
    }
  }

  // Words are runs of letters, digits and anything outside ASCII.
  void add_words(const std::string& text) {
    std::string word;
    for (const char c : text + ' ') {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80) {
        word += c;
      } else if (!word.empty()) {
        ++words[word];
        word.clear();
      }
    }
  }
};

std::string histogram(const std::map<std::int64_t, std::int64_t>& lengths) {
  const std::int64_t first = lengths.begin()->first, last = lengths.rbegin()->first;
  const std::int64_t width = (last - first) / kHistogramRows + 1;
  std::vector<std::int64_t> rows(static_cast<std::size_t>((last - first) / width + 1), 0);
  for (const auto& [length, captions] : lengths) rows[static_cast<std::size_t>((length - first) / width)] += captions;
  const std::int64_t most = *std::max_element(rows.begin(), rows.end());
  std::string text = "caption length in tokens\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t low = first + static_cast<std::int64_t>(i) * width;
    const auto bar = static_cast<std::size_t>((rows[i] * kBarColumns + most - 1) / most);
    const std::string range = width == 1 ? fmt::format("{}", low) : fmt::format("{}-{}", low, low + width - 1);
    text += fmt::format("  {:>9}  {:<{}}  {}\n", range, std::string(bar, '#'), kBarColumns, count_text(rows[i]));
  }
  return text;
}

std::string frequent_words(const std::unordered_map<std::string, std::int64_t>& words) {
  std::vector<std::pair<std::string, std::int64_t>> ranked(words.begin(), words.end());
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(kWordsShown, ranked.size()); ++i)
    shown.push_back(fmt::format("{} {}", ranked[i].first, count_text(ranked[i].second)));
  return fmt::format("most frequent of {} words\n  {}\n", count_text(static_cast<std::int64_t>(ranked.size())),
                     join(shown, ", "));
}

std::string first_lines(const fs::path& file, const char* what, std::int64_t total) {
  if (total == 0 || !fs::exists(file)) return {};
  std::string text = fmt::format("{} ({} in all, {})\n", what, count_text(total), file.filename().string());
  int shown = 0;
  for (const std::string& line : split(read_file(file), '\n')) {
    if (trim(line).empty() || shown++ == kErrorsShown) break;
    const auto entry = parse_json(line, file.string());
    text += fmt::format("  {}: {}\n", entry.value("file", ""), entry.value("reason", ""));
  }
  return text;
}

std::string split_table(const Manifest& manifest) {
  std::string text = fmt::format("  {:<12} {:>10} {:>10} {:>12} {:>7} {:>12} {:>12}\n", "split", "images", "captions",
                                 "tokens", "shards", "size", "bytes/image");
  for (const auto& [name, shards] : manifest.splits) {
    ShardRecord sum;
    for (const ShardRecord& shard : shards) {
      sum.images += shard.images;
      sum.captions += shard.captions;
      sum.tokens += shard.tokens;
      sum.bytes += shard.bytes;
    }
    const std::uint64_t each = sum.bytes / static_cast<std::uint64_t>(std::max<std::int64_t>(1, sum.images));
    text += fmt::format("  {:<12} {:>10} {:>10} {:>12} {:>7} {:>12} {:>12}\n", name, count_text(sum.images),
                        count_text(sum.captions), count_text(sum.tokens), shards.size(), human_bytes(sum.bytes),
                        count_text(each));
  }
  return text;
}

std::string verify_shard(const fs::path& path, const ShardRecord& record) {
  try {
    const Shard shard(path, record.bytes);
    if (shard.num_images() != record.images || shard.num_captions() != record.captions)
      return fmt::format("{}: holds {} images and {} captions, manifest.json says {} and {}", path.string(),
                         shard.num_images(), shard.num_captions(), record.images, record.captions);
    const std::string checksum = checksum_file(path);
    if (checksum != record.checksum)
      return fmt::format("{}: its bytes have changed: found {}, expected {}; run prepare again", path.string(),
                         checksum, record.checksum);
  } catch (const DataError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

std::string describe_cache(const fs::path& directory) {
  const Manifest manifest = read_manifest(directory);
  CaptionStatistics statistics;
  for (const auto& [name, shards] : manifest.splits) statistics.add(Cache(directory, name));
  const int size = manifest.image_processor.size;
  std::string text = fmt::format("cache {}, written by {}\n", directory.string(), manifest.created_by);
  text += fmt::format("  pictures   {} x {} {}\n", size, size, manifest.store == "raw" ? "raw pixels" : "JPEG");
  text += fmt::format("  tokenizer  {}, {} ids\n", manifest.tokenizer_kind, count_text(manifest.vocab_size));
  for (const CorpusSource& source : manifest.sources)
    if (!source.description.empty())
      text += fmt::format("  source     {}{}\n", source.description,
                          source.weight == 1 ? "" : fmt::format(" (weight {})", source.weight));
  text += split_table(manifest);
  if (!statistics.lengths.empty()) text += histogram(statistics.lengths) + frequent_words(statistics.words);
  return text + first_lines(directory / kErrorsName, "not taken", manifest.errors) +
         first_lines(directory / kNotesName, "worth a look", manifest.notes);
}

std::string describe_shard(const fs::path& file) {
  const Shard shard(file);
  const ShardHeader& header = shard.header();
  const std::uint64_t each = shard.bytes() / static_cast<std::uint64_t>(std::max<std::int64_t>(1, shard.num_images()));
  std::string text = fmt::format("shard {} of the split '{}'\n", file.string(), header.split);
  text += fmt::format("  {} images of {} x {} ({}), {} captions, {} tokens\n", count_text(shard.num_images()),
                      header.image_size, header.image_size, header.store, count_text(shard.num_captions()),
                      count_text(shard.num_tokens()));
  text += fmt::format("  {}, {} bytes per image, tokenizer {}\n", human_bytes(shard.bytes()), count_text(each),
                      header.tokenizer);
  for (std::int64_t image = 0; image < std::min(kImagesShown, shard.num_images()); ++image) {
    text += fmt::format("  image {} ({})\n", shard.image_id(image), shard.image_file(image));
    for (std::int64_t i = shard.first_caption(image); i < shard.first_caption(image + 1); ++i)
      text += fmt::format("    {}\n", trim(shard.caption(i)));
  }
  return text;
}

std::vector<std::string> verify_cache(const fs::path& directory) {
  const Manifest manifest = read_manifest(directory);
  std::vector<std::string> problems;
  for (const auto& [name, shards] : manifest.splits)
    for (const ShardRecord& record : shards)
      if (std::string problem = verify_shard(directory / record.file, record); !problem.empty())
        problems.push_back(std::move(problem));
  if (tokenizer_fingerprint(directory / kTokenizerFolder) != manifest.tokenizer_fingerprint)
    problems.push_back(fmt::format("{}: the tokenizer's files have changed; run prepare again",
                                   (directory / kTokenizerFolder).string()));
  return problems;
}

}  // namespace capstan
