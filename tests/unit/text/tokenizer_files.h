// Small tokenizer folders for tests.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "support/catch.h"

namespace capstan::testing {

// The words "ab" and " ab" from the letters a and b.
inline const nlohmann::json kTinyVocabulary = {{"a", 0},  {"b", 1},        {"\u0120", 2},
                                               {"ab", 3}, {"\u0120ab", 4}, {"<|endoftext|>", 5}};
inline const std::string kTinyMerges = "#version: 0.2\na b\n\u0120 ab\n";

inline void write_tiny(const fs::path& folder, const nlohmann::json& vocabulary = kTinyVocabulary,
                       const std::string& merges = kTinyMerges) {
  write_file_atomic(folder / "vocab.json", vocabulary.dump());
  write_file_atomic(folder / "merges.txt", merges);
}

// The same as the text of a tokenizer.json; tests change what they are about.
inline nlohmann::json tiny_tokenizer_json() {
  nlohmann::json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  return {{"added_tokens", {{{"id", 5}, {"content", "<|endoftext|>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", kTinyVocabulary}, {"merges", {"a b", "\u0120 ab"}}}}};
}

}  // namespace capstan::testing
