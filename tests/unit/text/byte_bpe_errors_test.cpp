// What people read when their tokenizer files are wrong.
#include "capstan/core/error.h"
#include "capstan/text/tokenizer.h"
#include "tokenizer_files.h"

using namespace capstan;
using namespace capstan::testing;
using nlohmann::json;

namespace {

std::string load_error(const fs::path& path) {
  try {
    load_tokenizer(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "loaded";
}

std::string vocabulary_error(const json& vocabulary, const std::string& merges = kTinyMerges) {
  const TempDir folder;
  write_tiny(folder.path(), vocabulary, merges);
  return load_error(folder.path());
}

// The error for the tiny tokenizer.json with the value at `pointer` replaced.
std::string json_error(const std::string& pointer, const json& value) {
  json file = tiny_tokenizer_json();
  file[json::json_pointer(pointer)] = value;
  const TempDir folder;
  write_file_atomic(folder.path() / "tokenizer.json", file.dump());
  return load_error(folder.path());
}

}  // namespace

TEST_CASE("a folder without a tokenizer is told what was looked for", "[text][tokenizers]") {
  const TempDir folder;
  CHECK_THROWS_AS(load_tokenizer(folder.path()), DataError);
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("tokenizer.json, or vocab.json and merges.txt"));
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("tokenizer.model, spiece.model"));
  CHECK_THAT(load_error(folder.path() / "absent"), ContainsSubstring("no such file or folder"));
  write_tiny(folder.path());
  fs::remove(folder.path() / "merges.txt");
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("merges.txt is missing beside vocab.json"));
}

TEST_CASE("broken JSON names the file and the line", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  write_file_atomic(folder.path() / "vocab.json", "{\"a\": 0,\n\"b\" 1}");
  CHECK_THROWS_AS(load_tokenizer(folder.path()), DataError);
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("vocab.json:2"));
  write_file_atomic(folder.path() / "tokenizer.json", "[1, 2");
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("tokenizer.json"));
}

TEST_CASE("a malformed line of merges.txt is named by its number", "[text][byte_bpe]") {
  for (const std::string line : {"a", "a  b", " ab", "ab ", "a b a"}) {
    INFO(line);
    CHECK_THAT(vocabulary_error(kTinyVocabulary, "#version: 0.2\na b\n" + line + "\n"),
               ContainsSubstring("merges.txt:3: the merge '" + line + "' is malformed"));
  }
}

TEST_CASE("a merge outside the vocabulary is named", "[text][byte_bpe]") {
  CHECK_THAT(vocabulary_error(kTinyVocabulary, "a b\nb a\n"),
             ContainsSubstring("merge 2 ('b' with 'a'): the product 'ba' is not in the vocabulary"));
  CHECK_THAT(vocabulary_error(kTinyVocabulary, "x b\n"), ContainsSubstring("the token 'x' is not in the vocabulary"));
}

TEST_CASE("ids that are missing, double or no numbers are named", "[text][byte_bpe]") {
  CHECK_THAT(vocabulary_error({{"a", 0}, {"b", 2}}, ""), ContainsSubstring("no token has id 1"));
  CHECK_THAT(vocabulary_error({{"a", 0}, {"b", 0}}, ""), ContainsSubstring("'a' and 'b' both have id 0"));
  CHECK_THAT(vocabulary_error({{"a", -1}, {"b", 0}}, ""), ContainsSubstring("'a' has id -1"));
  CHECK_THAT(vocabulary_error({{"a", 0.5}}, ""), ContainsSubstring("token 'a' is not a whole number"));
  CHECK_THAT(vocabulary_error({{"a", 18446744073709551615u}}, ""), ContainsSubstring("not a whole number"));
  CHECK_THAT(vocabulary_error(json::array({"a"}), ""), ContainsSubstring("expected an object"));
  CHECK_THAT(vocabulary_error(json::object(), ""), ContainsSubstring("the vocabulary is empty"));
  CHECK_THAT(json_error("/added_tokens/0/id", 0), ContainsSubstring("'<|endoftext|>' has id 0 but id 5 elsewhere"));
  CHECK_THAT(json_error("/added_tokens/0/id", -4), ContainsSubstring("is -4"));
  CHECK_THAT(json_error("/added_tokens/0", {{"id", 9}, {"content", "x"}}), ContainsSubstring("no token has id 6"));
}

TEST_CASE("features that are not supported are named", "[text][byte_bpe]") {
  const std::vector<std::tuple<std::string, json, std::string>> cases = {
      {"/normalizer", {{"type", "NFC"}}, "the normalizer NFC is not supported"},
      {"/pre_tokenizer", {{"type", "Whitespace"}}, "the pre_tokenizer Whitespace is not supported"},
      {"/pre_tokenizer", nullptr, "the pre_tokenizer null is not supported"},
      {"/decoder", {{"type", "WordPiece"}}, "the decoder WordPiece is not supported"},
      {"/model/type", "Unigram", "'Unigram' without its SentencePiece file"},
      {"/model/dropout", 0.1, "BPE dropout is not supported"},
      {"/model/byte_fallback", true, "'byte_fallback' is not supported"},
      {"/model/ignore_merges", true, "'ignore_merges' is not supported"},
      {"/model/end_of_word_suffix", "</w>", "'end_of_word_suffix' is not supported"},
      {"/added_tokens/0/single_word", true, "single_word true, which is not supported"}};
  for (const auto& [pointer, value, message] : cases) {
    CHECK_THAT(json_error(pointer, value), ContainsSubstring(message));
  }
  json file = tiny_tokenizer_json();
  file["normalizer"] = {{"type", "NFC"}};
  const TempDir folder;
  write_file_atomic(folder.path() / "tokenizer.json", file.dump());
  CHECK_THROWS_AS(load_tokenizer(folder.path()), UnsupportedError);
}

TEST_CASE("a tokenizer.json with values of wrong types is an error, never a crash", "[text][byte_bpe]") {
  const std::vector<json> values = {nullptr,
                                    7,
                                    -1,
                                    1e30,
                                    "text",
                                    true,
                                    json::array({1}),
                                    json::object({{"x", 1}}),
                                    json::array({json::array({"a", 1})})};
  const std::string pointers[] = {"/added_tokens",
                                  "/added_tokens/0",
                                  "/added_tokens/0/id",
                                  "/added_tokens/0/content",
                                  "/added_tokens/0/special",
                                  "/normalizer",
                                  "/pre_tokenizer",
                                  "/pre_tokenizer/type",
                                  "/pre_tokenizer/add_prefix_space",
                                  "/decoder",
                                  "/model",
                                  "/model/type",
                                  "/model/vocab",
                                  "/model/vocab/a",
                                  "/model/merges",
                                  "/model/merges/0",
                                  "/model/unk_token",
                                  "/model/fuse_unk"};
  int num_errors = 0;
  for (const std::string& pointer : pointers) {
    for (const json& value : values) {
      INFO(pointer << " = " << value.dump());
      num_errors += json_error(pointer, value) != "loaded";
    }
  }
  CHECK(num_errors > 100);
}

TEST_CASE("a tokenizer_config.json of the wrong form is named", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  const auto error_of = [&](const std::string& config) {
    write_file_atomic(folder.path() / "tokenizer_config.json", config);
    return load_error(folder.path());
  };
  CHECK_THAT(error_of("[]"), ContainsSubstring("holds array; expected an object"));
  CHECK_THAT(error_of(R"({"eos_token": 5})"), ContainsSubstring("'eos_token' is number; expected a string"));
  CHECK_THAT(error_of(R"({"add_prefix_space": "yes"})"), ContainsSubstring("expected true or false"));
  CHECK_THAT(error_of(R"({"added_tokens_decoder": {"x": {"content": "y"}}})"), ContainsSubstring("'x'"));
  CHECK_THAT(error_of(R"({"added_tokens_decoder": {"6": {}}})"), ContainsSubstring("no 'content'"));
  CHECK(error_of(R"({"model_max_length": 1e30})") == "loaded");
}

TEST_CASE("ids outside the vocabulary cannot be decoded", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{6}, INT64_MAX, INT64_MIN}) {
    CHECK_THROWS_AS(tokenizer->decode(std::vector<std::int64_t>{0, id}), DataError);
    CHECK_THROWS_AS(tokenizer->id_to_token(id), DataError);
  }
  CHECK_THROWS_WITH(tokenizer->id_to_token(6), ContainsSubstring("no token with id 6; its ids run from 0 to 5"));
}
