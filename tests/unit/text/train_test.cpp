// Training: merges of Hugging Face's BpeTrainer (tests/golden/byte_bpe.json), and SentencePiece twice the same.
#include "capstan/text/train.h"

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"
#include "support/golden.h"

using namespace capstan;
using nlohmann::json;
using Ids = std::vector<std::int64_t>;

namespace {

ByteBpeTrainingConfig small_bpe(int vocab_size) {
  ByteBpeTrainingConfig config;
  config.vocab_size = vocab_size;
  return config;
}

}  // namespace

TEST_CASE("byte bpe training finds the tokens of Hugging Face's trainer", "[text][train]") {
  const json golden = testing::golden("byte_bpe.json");
  const auto captions = golden["captions"].get<std::vector<std::string>>();
  auto config = small_bpe(golden["vocab_size"].get<int>());
  config.min_frequency = golden["min_frequency"].get<int>();
  const TempDir folder;
  const auto tokenizer = train_byte_bpe(captions, config, folder.path());
  const json saved = read_json(folder.path() / "tokenizer.json");
  CHECK(saved["model"]["merges"] == golden["base"]["model"]["merges"]);
  CHECK(saved["model"]["vocab"] == golden["base"]["model"]["vocab"]);
  const auto opened = load_tokenizer(folder.path());
  for (std::size_t i = 0; i < captions.size(); ++i) {
    REQUIRE(tokenizer->encode(captions[i]) == golden["caption_ids"][i].get<Ids>());
    REQUIRE(opened->encode(captions[i]) == golden["caption_ids"][i].get<Ids>());
  }
  CHECK(tokenizer->eos_token_id() == 0);
  CHECK(opened->pad_token_id() == 0);
}

TEST_CASE("byte bpe training stops where pairs become rare", "[text][train]") {
  const TempDir folder;
  auto config = small_bpe(1000);
  const auto tokenizer = train_byte_bpe({"abab", "ab"}, config, folder.path());
  CHECK(tokenizer->vocab_size() == 258);  // 256 bytes, the special token and "ab"
  CHECK(tokenizer->decode(tokenizer->encode("any \xC3\xA9 text")) == "any \xC3\xA9 text");
  CHECK(train_byte_bpe({}, config, folder.path())->vocab_size() == 257);
}

TEST_CASE("byte bpe training refuses impossible options", "[text][train]") {
  const TempDir folder;
  CHECK_THROWS_AS(train_byte_bpe({"a"}, small_bpe(256), folder.path()), ConfigError);
  CHECK_THROWS_WITH(train_byte_bpe({"a"}, small_bpe(256), folder.path()), ContainsSubstring("need at least 257"));
  auto config = small_bpe(300);
  config.special_tokens.clear();
  CHECK_THROWS_WITH(train_byte_bpe({"a"}, config, folder.path()), ContainsSubstring("special_tokens is empty"));
  config.special_tokens = {"<a>", "<a>"};
  CHECK_THROWS_AS(train_byte_bpe({"a"}, config, folder.path()), DataError);
}

TEST_CASE("sentencepiece training gives the same model each time", "[text][train]") {
  const json golden = testing::golden("byte_bpe.json");
  const auto captions = golden["captions"].get<std::vector<std::string>>();
  for (const std::string type : {"unigram", "bpe"}) {
    SentencePieceTrainingConfig config;
    config.vocab_size = 90;
    config.model_type = type;
    const TempDir first, second;
    const auto tokenizer = train_sentencepiece(captions, config, first.path());
    train_sentencepiece(captions, config, second.path());
    CHECK(tokenizer->vocab_size() <= 90);
    CHECK(read_file(first.path() / "tokenizer.model") == read_file(second.path() / "tokenizer.model"));
    CHECK(tokenizer->decode(tokenizer->encode(captions[0])) == captions[0]);
  }
}

TEST_CASE("sentencepiece training makes do with few captions", "[text][train]") {
  const TempDir folder;
  const auto tokenizer = train_sentencepiece({"a dog", "a cat"}, {}, folder.path());
  CHECK(tokenizer->vocab_size() < 30);
  CHECK(tokenizer->decode(tokenizer->encode("a cat")) == "a cat");
}

TEST_CASE("sentencepiece training keeps user-defined symbols and bytes whole", "[text][train]") {
  const TempDir folder;
  SentencePieceTrainingConfig config;
  config.vocab_size = 300;
  config.byte_fallback = true;
  config.user_defined_symbols = {"<image>", ",", "\"q\""};
  const auto tokenizer = train_sentencepiece({"a dog, a cat", "a cat and a dog"}, config, folder.path());
  for (const std::string& symbol : config.user_defined_symbols) {
    INFO(symbol);
    const auto id = tokenizer->token_to_id(symbol);
    REQUIRE(id.has_value());
    CHECK(tokenizer->encode("dog" + symbol).back() == *id);
  }
  CHECK(tokenizer->decode(tokenizer->encode("a \xE6\xBC\xA2")) == "a \xE6\xBC\xA2");
}

TEST_CASE("sentencepiece training says why it cannot", "[text][train]") {
  const TempDir folder;
  SentencePieceTrainingConfig config;
  CHECK_THROWS_AS(train_sentencepiece({}, config, folder.path()), DataError);
  CHECK_THROWS_AS(train_sentencepiece({" ", ""}, config, folder.path()), DataError);
  config.vocab_size = 8;
  CHECK_THROWS_AS(train_sentencepiece({"the quick brown fox"}, config, folder.path()), ConfigError);
  CHECK_THROWS_WITH(train_sentencepiece({"the quick brown fox"}, config, folder.path()),
                    ContainsSubstring("8 pieces on 1 captions"));
  config.model_type = "bpe";
  config.user_defined_symbols = {"<image>"};
  CHECK_THROWS_WITH(train_sentencepiece({"a"}, config, folder.path()), ContainsSubstring("need model_type unigram"));
}
