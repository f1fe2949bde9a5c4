// Manifest to JSON and, distrustfully, back.
#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/version.h"

namespace capstan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Config structs to JSON and back through their fields().
struct ToJson {
  ordered_json& out;
  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& = {}) {
    out[key] = value;
  }
};

struct FromJson {
  const json& in;
  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& limits = {}) {
    value = in.at(key).get<T>();
    if constexpr (std::is_arithmetic_v<T>)
      if (!(static_cast<double>(value) >= limits.min && static_cast<double>(value) <= limits.max))
        throw DataError(fmt::format("'{}' is {}", key, value));
  }
};

std::int64_t count(const json& record, const char* key) {
  const auto value = record.at(key).get<std::int64_t>();
  if (value < 0) throw DataError(fmt::format("'{}' is {}", key, value));
  return value;
}

Manifest from_json(const json& root) {
  if (root.at("format").get<std::string>() != "capstan-cache") throw DataError("'format' is not capstan-cache");
  const std::int64_t version = count(root, "format_version");
  if (version != kCacheFormatVersion)
    throw DataError(fmt::format("format version {}, this program reads version {}", version, kCacheFormatVersion));
  Manifest manifest;
  manifest.created_by = root.at("created_by").get<std::string>();
  manifest.store = root.at("store").get<std::string>();
  FromJson fields{root.at("image_processor")};
  manifest.image_processor.fields(fields);
  const json& tokenizer = root.at("tokenizer");
  manifest.tokenizer_kind = tokenizer.at("kind").get<std::string>();
  manifest.tokenizer_fingerprint = tokenizer.at("fingerprint").get<std::string>();
  manifest.vocab_size = count(tokenizer, "vocab_size");
  manifest.plan = root.at("plan").get<std::string>();
  for (const json& source : root.at("sources"))
    manifest.sources.push_back({source.at("description").get<std::string>(), source.at("weight").get<double>()});
  manifest.errors = count(root, "errors");
  manifest.notes = count(root, "notes");
  for (const json& split : root.at("splits")) {
    std::vector<ShardRecord> shards;
    for (const json& record : split.at("shards")) shards.push_back(shard_from_json(record));
    manifest.splits.emplace_back(split.at("name").get<std::string>(), std::move(shards));
  }
  return manifest;
}

ordered_json to_json(const std::string& name, const std::vector<ShardRecord>& shards) {
  ordered_json split{{"name", name}, {"images", 0}, {"captions", 0}, {"shards", ordered_json::array()}};
  std::int64_t images = 0, captions = 0;
  for (const ShardRecord& shard : shards) {
    images += shard.images;
    captions += shard.captions;
    split["shards"].push_back(shard_to_json(shard));
  }
  split["images"] = images;
  split["captions"] = captions;
  return split;
}

}  // namespace

ordered_json shard_to_json(const ShardRecord& shard) {
  return {{"file", shard.file},     {"images", shard.images}, {"captions", shard.captions},
          {"tokens", shard.tokens}, {"bytes", shard.bytes},   {"checksum", shard.checksum}};
}

ShardRecord shard_from_json(const json& record) {
  ShardRecord shard{.file = record.at("file").get<std::string>(),
                    .images = count(record, "images"),
                    .captions = count(record, "captions"),
                    .tokens = count(record, "tokens"),
                    .bytes = static_cast<std::uint64_t>(count(record, "bytes")),
                    .checksum = record.at("checksum").get<std::string>()};
  const fs::path name(shard.file);
  if (name.empty() || name != name.filename() || name == ".." || shard.file.find('\0') != std::string::npos)
    throw DataError(fmt::format("the shard name '{}' is not a plain file name", shard.file));
  return shard;
}

const std::vector<ShardRecord>* Manifest::find(const std::string& split) const {
  const auto has_name = [&](const auto& entry) { return entry.first == split; };
  const auto found = std::find_if(splits.begin(), splits.end(), has_name);
  return found == splits.end() ? nullptr : &found->second;
}

void write_manifest(const fs::path& directory, const Manifest& manifest) {
  ordered_json root;
  root["format"] = "capstan-cache";
  root["format_version"] = kCacheFormatVersion;
  root["created_by"] = manifest.created_by;
  root["store"] = manifest.store;
  root["image_processor"] = ordered_json::object();
  ImageProcessorConfig processor = manifest.image_processor;
  ToJson fields{root["image_processor"]};
  processor.fields(fields);
  root["tokenizer"] = {{"folder", kTokenizerFolder},
                       {"kind", manifest.tokenizer_kind},
                       {"fingerprint", manifest.tokenizer_fingerprint},
                       {"vocab_size", manifest.vocab_size}};
  root["plan"] = manifest.plan;
  root["sources"] = ordered_json::array();
  for (const CorpusSource& source : manifest.sources)
    root["sources"].push_back({{"description", source.description}, {"weight", source.weight}});
  root["errors"] = manifest.errors;
  root["notes"] = manifest.notes;
  root["splits"] = ordered_json::array();
  for (const auto& [name, shards] : manifest.splits) root["splits"].push_back(to_json(name, shards));
  write_json(directory / kManifestName, root);
}

Manifest read_manifest(const fs::path& directory) {
  const fs::path path = directory / kManifestName;
  if (!fs::exists(path))
    throw DataError(fmt::format("{}: not a prepared cache, it has no {}; make one with `capstan prepare`",
                                directory.string(), kManifestName));
  const json root = read_json(path);
  try {
    return from_json(root);
  } catch (const json::exception& error) {
    throw DataError(fmt::format("{}: not a cache's manifest: {}; run prepare again", path.string(), error.what()));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}; run prepare again", path.string(), error.what()));
  }
}

std::string tokenizer_fingerprint(const fs::path& tokenizer_directory) {
  std::vector<fs::path> files;
  if (fs::is_directory(tokenizer_directory))
    for (const auto& entry : fs::directory_iterator(tokenizer_directory))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string summary;
  for (const fs::path& file : files) summary += file.filename().string() + " " + checksum_file(file) + "\n";
  return checksum_bytes(summary);
}

}  // namespace capstan
