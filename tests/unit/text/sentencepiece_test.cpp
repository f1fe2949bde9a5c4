// sentencepiece against the ids of Python's sentencepiece package and on broken models.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/random.h"
#include "capstan/text/tokenizer.h"
#include "capstan/text/train.h"
#include "support/catch.h"
#include "support/shared_data.h"
#include "text/sentencepiece_model.h"

using namespace capstan;
using Ids = std::vector<std::int64_t>;

namespace {

std::shared_ptr<const Tokenizer> train_small(const fs::path& folder, const std::string& type = "unigram") {
  std::vector<std::string> captions;
  for (const char* colour : {"red", "blue", "green"}) {
    for (const char* shape : {"circle", "square", "star"}) {
      captions.push_back(std::string("a ") + colour + " " + shape + " above a " + shape);
    }
  }
  SentencePieceTrainingConfig config;
  config.vocab_size = 60;
  config.model_type = type;
  config.character_coverage = 1;
  return train_sentencepiece(captions, config, folder);
}

std::string load_error(const fs::path& path) {
  try {
    load_tokenizer(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "loaded";
}

}  // namespace

TEST_CASE("sentencepiece gives the 600 id lists and texts of two real models", "[text][sentencepiece]") {
  const auto shared = testing::shared_data();
  if (!shared) SKIP("the shared SentencePiece files are absent");
  std::map<std::string, std::shared_ptr<const Tokenizer>> models;
  std::ifstream file(*shared / "sentencepiece/expected_ids.jsonl");
  int num_rows = 0;
  for (std::string line; std::getline(file, line); ++num_rows) {
    const auto row = nlohmann::json::parse(line);
    INFO(line);
    auto& tokenizer = models[row["model"].get<std::string>()];
    if (!tokenizer) tokenizer = load_tokenizer(*shared / "sentencepiece" / row["model"].get<std::string>());
    REQUIRE(tokenizer->encode(row["text"].get<std::string>()) == row["ids"].get<Ids>());
    REQUIRE(tokenizer->decode(row["ids"].get<Ids>()) == row["decoded"].get<std::string>());
  }
  CHECK(num_rows == 600);
  CHECK(models.size() == 2);
}

TEST_CASE("sentencepiece knows its special tokens", "[text][sentencepiece]") {
  const TempDir folder;
  const auto tokenizer = train_small(folder.path());
  CHECK(tokenizer->kind() == "sentencepiece");
  CHECK(tokenizer->pad_token_id() == 0);
  CHECK(tokenizer->unk_token_id() == 1);
  CHECK(tokenizer->bos_token_id() == 2);
  CHECK(tokenizer->eos_token_id() == 3);
  CHECK(tokenizer->token_to_id("</s>") == 3);
  CHECK(tokenizer->id_to_token(3) == "</s>");
  CHECK_FALSE(tokenizer->token_to_id("no such piece").has_value());
  Ids ids = tokenizer->encode("a red star");
  REQUIRE(tokenizer->decode(ids) == "a red star");
  ids.push_back(3);
  CHECK(tokenizer->decode(ids) == "a red star");
  CHECK(tokenizer->decode(ids, false) == "a red star</s>");
  CHECK(tokenizer->encode("").empty());
  CHECK(tokenizer->encode("  ").empty());
}

TEST_CASE("a saved sentencepiece folder is the same tokenizer", "[text][sentencepiece]") {
  for (const std::string type : {"unigram", "bpe"}) {
    const TempDir first, second;
    const auto tokenizer = train_small(first.path(), type);
    tokenizer->save(second.path());
    CHECK(read_file(first.path() / "tokenizer.model") == read_file(second.path() / "tokenizer.model"));
    const auto file = read_json(second.path() / "tokenizer.json");
    CHECK(file["model"]["type"] == (type == "bpe" ? "BPE" : "Unigram"));
    CHECK(file["model"]["vocab"].size() == static_cast<std::size_t>(tokenizer->vocab_size()));
    CHECK(read_json(second.path() / "tokenizer_config.json")["eos_token"] == "</s>");
    CHECK(load_tokenizer(second.path())->encode("a blue ring") == tokenizer->encode("a blue ring"));
  }
}

TEST_CASE("a sentencepiece folder may name other pieces as special tokens", "[text][sentencepiece]") {
  const TempDir folder;
  train_small(folder.path());
  write_file_atomic(folder.path() / "tokenizer_config.json", R"({"pad_token": "</s>"})");
  CHECK(load_tokenizer(folder.path())->pad_token_id() == 3);
  write_file_atomic(folder.path() / "tokenizer_config.json", R"({"pad_token": "[PAD]"})");
  CHECK_THROWS_AS(load_tokenizer(folder.path()), UnsupportedError);
  CHECK_THAT(load_error(folder.path()), ContainsSubstring("the pad_token '[PAD]'"));
}

TEST_CASE("a cut-off .model file is an error at every length", "[text][sentencepiece]") {
  const TempDir folder, broken;
  train_small(folder.path());
  const std::string bytes = read_file(folder.path() / "tokenizer.model");
  const fs::path path = broken.path() / "small.model";
  write_file_atomic(path, "");
  CHECK_THAT(load_error(path), ContainsSubstring("holds no pieces"));
  write_file_atomic(path, "this is no model");
  CHECK_THROWS_AS(load_tokenizer(path), DataError);
  write_file_atomic(path, bytes.substr(0, bytes.size() / 2));
  CHECK_THROWS_AS(load_tokenizer(path), DataError);
  CHECK_THAT(load_error(path), ContainsSubstring("small.model: is cut off or no SentencePiece model"));
  CHECK(load_error(broken.path()) == load_error(path));  // the only *.model of a folder
}

TEST_CASE("damaged bytes of a .model file never crash", "[text][sentencepiece]") {
  const TempDir folder, broken;
  train_small(folder.path());
  const std::string bytes = read_file(folder.path() / "tokenizer.model");
  const fs::path path = broken.path() / "small.model";
  Random random(11);
  int num_refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = bytes;
    for (int i = 0; i < 40; ++i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    write_file_atomic(path, damaged);
    try {
      load_tokenizer(path)->encode("a red star \xEF\xBD\x81 \xE2\x84\xAB");
    } catch (const Error&) {
      ++num_refused;
    }
  }
  CHECK(num_refused > 30);
}

TEST_CASE("models whose ids are shifted elsewhere are refused", "[text][sentencepiece]") {
  const TempDir folder, other;
  train_small(folder.path());
  fs::copy(folder.path() / "tokenizer.model", other.path() / "sentencepiece.bpe.model");
  CHECK_THROWS_AS(load_tokenizer(other.path()), UnsupportedError);
  CHECK_THAT(load_error(other.path()), ContainsSubstring("shifted ids"));
}

TEST_CASE("ids outside a sentencepiece model cannot be decoded", "[text][sentencepiece]") {
  const TempDir folder;
  const auto tokenizer = train_small(folder.path());
  CHECK_THROWS_AS(tokenizer->decode(Ids{tokenizer->vocab_size()}), DataError);
  CHECK_THROWS_AS(tokenizer->decode(Ids{-1}), DataError);
  CHECK_THROWS_AS(tokenizer->id_to_token(INT64_MAX), DataError);
}
