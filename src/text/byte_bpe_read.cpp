// Reads byte-level BPE from tokenizer.json or from vocab.json and merges.txt.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "text/byte_bpe.h"
#include "text/json_access.h"

namespace capstan::text {
namespace {

using nlohmann::json;

[[noreturn]] void unsupported(const std::string& where, const std::string& feature) {
  throw UnsupportedError(
      fmt::format("{}: {} is not supported by the byte_bpe tokenizer, which does GPT-2's "
                  "byte-level BPE.",
                  where, feature));
}

void read_vocabulary(const json& vocabulary, const std::string& where, ByteBpeParts& parts) {
  if (!vocabulary.is_object() || vocabulary.empty()) {
    throw DataError(fmt::format("{}: the vocabulary is {}; expected an object with an id for every token.", where,
                                vocabulary.empty() ? "empty" : vocabulary.type_name()));
  }
  for (const auto& [token, id] : vocabulary.items()) {
    parts.model_vocabulary.emplace_back(token, whole_number(id, where, fmt::format("the id of token '{}'", token)));
  }
}

// "left right": two tokens with one space between.
std::pair<std::string, std::string> parse_merge(std::string_view line, const std::string& where, std::size_t number) {
  const std::size_t space = line.find(' ');
  const bool well_formed = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                           line.find(' ', space + 1) == std::string_view::npos;
  if (!well_formed) {
    throw DataError(fmt::format("{}:{}: the merge '{}' is malformed; expected two tokens with a space between.", where,
                                number, line));
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

void read_merges_file(const fs::path& path, ByteBpeParts& parts) {
  const std::string text = read_file(path);
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with("#version")) continue;
    parts.merges.push_back(parse_merge(line, path.string(), number));
  }
}

void read_merges_json(const json& model, const std::string& where, ByteBpeParts& parts) {
  const json* merges = find_value(model, "merges");
  if (merges == nullptr || !merges->is_array()) throw DataError(where + ": 'model.merges' is not a list.");
  for (const json& merge : *merges) {
    const std::size_t number = parts.merges.size() + 1;
    if (merge.is_string()) {
      parts.merges.push_back(parse_merge(merge.get_ref<const std::string&>(), where + ": model.merges", number));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      const std::string line = merge[0].get<std::string>() + ' ' + merge[1].get<std::string>();
      parts.merges.push_back(parse_merge(line, where + ": model.merges", number));
    } else {
      throw DataError(fmt::format("{}: model.merges:{}: expected a string or two strings.", where, number));
    }
  }
}

// Refuses what would change ids and is not implemented; reads the rest of "model".
void read_model(const json& file, const std::string& where, ByteBpeParts& parts, ByteBpeData& data) {
  const json* model = find_value(file, "model");
  if (model == nullptr || !model->is_object()) throw DataError(where + ": 'model' is missing or no object.");
  const std::string type = find_text(*model, "type", where).value_or("BPE");
  if (type != "BPE") {
    unsupported(where, fmt::format("the model type '{}' without its SentencePiece file (tokenizer.model or "
                                   "spiece.model) beside it",
                                   type));
  }
  if (find_value(*model, "dropout") != nullptr && (*model)["dropout"] != 0) unsupported(where, "BPE dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!find_text(*model, key, where).value_or("").empty()) unsupported(where, fmt::format("'{}'", key));
  }
  for (const char* key : {"byte_fallback", "ignore_merges"}) {
    if (bool_or(*model, key, false, where)) unsupported(where, fmt::format("'{}'", key));
  }
  data.fuse_unk = bool_or(*model, "fuse_unk", false, where);
  const json* vocabulary = find_value(*model, "vocab");
  read_vocabulary(vocabulary == nullptr ? json() : *vocabulary, where, parts);
  read_merges_json(*model, where, parts);
}

void read_pipeline(const json& file, const std::string& where, ByteBpeData& data) {
  const auto type_of = [&](const char* part) {
    const json* value = find_value(file, part);
    return value == nullptr ? std::string("null") : find_text(*value, "type", where).value_or("without a type");
  };
  if (find_value(file, "normalizer") != nullptr) unsupported(where, "the normalizer " + type_of("normalizer"));
  for (const char* part : {"pre_tokenizer", "decoder"}) {
    if (type_of(part) != "ByteLevel") unsupported(where, fmt::format("the {} {}", part, type_of(part)));
  }
  const json& pre_tokenizer = *find_value(file, "pre_tokenizer");
  data.add_prefix_space = bool_or(pre_tokenizer, "add_prefix_space", true, where);
  data.trim_offsets = bool_or(pre_tokenizer, "trim_offsets", true, where);
  data.use_regex = bool_or(pre_tokenizer, "use_regex", true, where);
  if (const json* post_processor = find_value(file, "post_processor")) data.post_processor = post_processor->dump();
}

void read_added_tokens(const json& file, const std::string& where, ByteBpeParts& parts) {
  const json* tokens = find_value(file, "added_tokens");
  if (tokens == nullptr) return;
  if (!tokens->is_array()) throw DataError(where + ": 'added_tokens' is not a list.");
  for (const json& value : *tokens) {
    AddedToken token = parse_added_token(value, where);
    const json* id = find_value(value, "id");
    const std::string what = fmt::format("the id of the added token '{}'", token.content);
    const std::int64_t number = whole_number(id == nullptr ? json() : *id, where, what);
    if (number < 0 || number > std::int64_t{UINT32_MAX}) {
      throw DataError(fmt::format("{}: {} is {}.", where, what, number));
    }
    token.id = static_cast<TokenId>(number);
    parts.added.push_back(std::move(token));
  }
}

// added_tokens.json holds ids only; tokenizer_config.json may know more of the same tokens.
void read_added_tokens_file(const fs::path& path, ByteBpeParts& parts) {
  parts.added = parts.config.added;
  if (!fs::exists(path)) return;
  const json file = read_json(path);
  if (!file.is_object()) throw DataError(path.string() + ": expected an object with an id for every token.");
  for (const auto& [content, value] : file.items()) {
    const std::int64_t id = whole_number(value, path.string(), fmt::format("the id of token '{}'", content));
    if (id < 0 || id > std::int64_t{UINT32_MAX} || content.empty()) {
      throw DataError(fmt::format("{}: the token '{}' has id {}.", path.string(), content, id));
    }
    const auto known = [&](const AddedToken& token) { return token.content == content; };
    if (std::any_of(parts.added.begin(), parts.added.end(), known)) continue;
    parts.added.push_back({.id = static_cast<TokenId>(id), .content = content, .special = false, .normalized = true});
  }
}

}  // namespace

ByteBpeData read_byte_bpe(const fs::path& path, const TokenizerOptions& options) {
  ByteBpeData data;
  ByteBpeParts parts;
  const bool is_folder = fs::is_directory(path);
  const fs::path directory = is_folder ? path : path.parent_path();
  parts.config = read_tokenizer_config(directory.empty() ? "." : directory);
  parts.config.apply(options);
  const fs::path json_path = is_folder ? path / "tokenizer.json" : path;
  std::optional<std::string> unk;
  if (fs::exists(json_path)) {
    const json file = read_json(json_path);
    parts.vocabulary_where = parts.merges_where = json_path.string();
    read_model(file, json_path.string(), parts, data);
    read_pipeline(file, json_path.string(), data);
    read_added_tokens(file, json_path.string(), parts);
    unk = find_text(file["model"], "unk_token", json_path.string());
  } else {
    const fs::path merges_path = path / "merges.txt";
    if (!fs::exists(merges_path)) {
      throw DataError(
          fmt::format("{}: merges.txt is missing beside vocab.json; byte-level BPE needs both, or a "
                      "tokenizer.json.",
                      path.string()));
    }
    parts.vocabulary_where = (path / "vocab.json").string();
    parts.merges_where = merges_path.string();
    read_vocabulary(read_json(path / "vocab.json"), parts.vocabulary_where, parts);
    read_merges_file(merges_path, parts);
    read_added_tokens_file(path / "added_tokens.json", parts);
  }
  assemble_byte_bpe(std::move(parts), data);
  if (unk) data.model_unk = data.vocabulary.find(*unk);
  return data;
}

}  // namespace capstan::text
