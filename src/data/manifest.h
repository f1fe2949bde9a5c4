// manifest.json: what a cache consists of. It is written last, so a folder that has one is complete.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "capstan/data/corpus.h"
#include "capstan/image/processor.h"

namespace capstan {

inline constexpr std::int64_t kCacheFormatVersion = 2;
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kErrorsName = "errors.jsonl";
inline constexpr const char* kNotesName = "notes.jsonl";
inline constexpr const char* kConfigName = "config.yaml";
inline constexpr const char* kTokenizerFolder = "tokenizer";

struct ShardRecord {
  std::string file;  // name within the cache
  std::int64_t images = 0;
  std::int64_t captions = 0;
  std::int64_t tokens = 0;
  std::uint64_t bytes = 0;
  std::string checksum;
};

struct Manifest {
  std::string created_by;  // "capstan 0.1.0"
  std::string store;
  ImageProcessorConfig image_processor;
  std::string tokenizer_kind;
  std::string tokenizer_fingerprint;
  std::int64_t vocab_size = 0;
  std::string plan;  // checksum of everything that decides what the cache holds
  std::vector<CorpusSource> sources;
  std::int64_t errors = 0;
  std::int64_t notes = 0;
  std::vector<std::pair<std::string, std::vector<ShardRecord>>> splits;

  // Null when there is no such split.
  const std::vector<ShardRecord>* find(const std::string& split) const;
};

nlohmann::ordered_json shard_to_json(const ShardRecord& shard);
// DataError or a JSON exception when a field is missing or impossible.
ShardRecord shard_from_json(const nlohmann::json& record);

void write_manifest(const std::filesystem::path& directory, const Manifest& manifest);
// DataError when the folder has no manifest or it does not hold what it should.
Manifest read_manifest(const std::filesystem::path& directory);

// Checksum over names and contents of a saved tokenizer's files; it changes when ids may change.
std::string tokenizer_fingerprint(const std::filesystem::path& tokenizer_directory);

}  // namespace capstan
