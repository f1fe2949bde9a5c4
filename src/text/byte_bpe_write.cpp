// Writes byte-level BPE as transformers and Transformers.js read it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "text/byte_bpe.h"

namespace capstan::text {
namespace {

using nlohmann::ordered_json;

// Token -> id in the order of ids. Appends directly: a lookup per key would take quadratic time.
ordered_json vocabulary_json(const ByteBpeData& data) {
  ordered_json vocabulary = ordered_json::object();
  auto& entries = vocabulary.get_ref<ordered_json::object_t&>();
  entries.reserve(data.vocabulary.size());
  for (TokenId id = 0; id < data.vocabulary.size(); ++id) {
    if (data.in_model[id]) entries.emplace_back(data.vocabulary.token(id), id);
  }
  return vocabulary;
}

std::string merge_line(const ByteBpeData& data, const ByteBpeData::Merge& merge) {
  return data.vocabulary.token(merge.left) + ' ' + data.vocabulary.token(merge.right);
}

ordered_json byte_level(const ByteBpeData& data) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", data.add_prefix_space},
          {"trim_offsets", data.trim_offsets},
          {"use_regex", data.use_regex}};
}

ordered_json model_json(const ByteBpeData& data) {
  ordered_json merges = ordered_json::array();
  for (const auto& merge : data.merges) merges.push_back(merge_line(data, merge));
  ordered_json unk;
  if (data.model_unk) unk = data.vocabulary.token(*data.model_unk);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", std::move(unk)},
          {"continuing_subword_prefix", ""},
          {"end_of_word_suffix", ""},
          {"fuse_unk", data.fuse_unk},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary_json(data)},
          {"merges", std::move(merges)}};
}

ordered_json tokenizer_json(const ByteBpeData& data) {
  ordered_json added = ordered_json::array();
  for (const AddedToken& token : data.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level(data)},
          {"post_processor", data.post_processor.empty() ? byte_level(data) : ordered_json::parse(data.post_processor)},
          {"decoder", byte_level(data)},
          {"model", model_json(data)}};
}

// transformers builds a GPT2Tokenizer anew from vocabulary and merges, with its own defaults for what it does not
// find; only a tokenizer that is no different may carry that name.
bool is_plain_gpt2(const ByteBpeData& data) {
  const auto only_special = [](const AddedToken& token) { return token.special; };
  return data.use_regex && !data.model_unk && data.roles[Role::kBos] && data.roles[Role::kEos] &&
         data.roles[Role::kUnk] && std::all_of(data.added.begin(), data.added.end(), only_special);
}

}  // namespace

void write_byte_bpe(const ByteBpeData& data, const fs::path& directory) {
  fs::create_directories(directory);
  write_json(directory / "tokenizer.json", tokenizer_json(data));
  write_json(directory / "vocab.json", vocabulary_json(data));
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : data.merges) merges += merge_line(data, merge) + '\n';
  write_file_atomic(directory / "merges.txt", merges);
  PerRole<std::string> tokens;
  for (const auto& [role, key] : kRoles) {
    if (data.roles[role]) tokens[role] = data.vocabulary.token(*data.roles[role]);
  }
  write_tokenizer_config(directory, is_plain_gpt2(data) ? "GPT2Tokenizer" : "PreTrainedTokenizerFast", tokens,
                         data.model_max_length, data.clean_up, {{"add_prefix_space", data.add_prefix_space}});
}

}  // namespace capstan::text
