// Byte-level BPE as data: what the readers and the trainer make and the tokenizer works on.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capstan/text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

namespace capstan::text {

struct ByteBpeData {
  struct Merge {
    TokenId left, right, product;
  };

  Vocabulary vocabulary;          // in the byte alphabet; added tokens as they are
  std::vector<bool> in_model;     // by id: belongs to the BPE model, not only to the added tokens
  std::vector<Merge> merges;      // by rank
  std::vector<AddedToken> added;  // in rising order of ids
  RoleIds roles;
  std::optional<TokenId> model_unk;  // stands for bytes that have no token
  bool fuse_unk = false;             // one unknown for a row of them
  bool add_prefix_space = false;
  bool trim_offsets = true;
  bool use_regex = true;  // divide into words as GPT-2 does
  bool clean_up = false;  // decoded text
  std::int64_t model_max_length = kDefaultMaxLength;
  std::string post_processor;  // JSON, kept as it was read; empty: ByteLevel
};

// Files of a folder (tokenizer.json, else vocab.json and merges.txt) or a tokenizer.json by its path.
// DataError for broken files, UnsupportedError naming the feature that is not supported.
ByteBpeData read_byte_bpe(const std::filesystem::path& path, const TokenizerOptions& options = {});

// What assemble_byte_bpe puts together.
struct ByteBpeParts {
  std::vector<Vocabulary::Entry> model_vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<AddedToken> added;
  TokenizerConfig config;
  std::string vocabulary_where;  // the files in messages
  std::string merges_where;
};

// Fills vocabulary, in_model, merges, added, roles, add_prefix_space, clean_up and model_max_length of `data` and
// checks that they fit together.
void assemble_byte_bpe(ByteBpeParts parts, ByteBpeData& data);

void write_byte_bpe(const ByteBpeData& data, const std::filesystem::path& directory);

std::shared_ptr<const Tokenizer> make_byte_bpe(ByteBpeData data);

}  // namespace capstan::text
