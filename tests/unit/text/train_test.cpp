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
  for (const std::string type : {"unigram", "bpe"}) {
    const TempDir folder;
    SentencePieceTrainingConfig config;
    config.vocab_size = 300;
    config.model_type = type;
    config.byte_fallback = true;
    config.user_defined_symbols = {"<image>", ",", "\"q\""};
    const auto tokenizer = train_sentencepiece({"a dog, a cat", "a cat and a dog"}, config, folder.path());
    for (const std::string& symbol : config.user_defined_symbols) {
      INFO(type << " " << symbol);
      const auto id = tokenizer->token_to_id(symbol);
      REQUIRE(id.has_value());
      CHECK(tokenizer->encode("dog" + symbol).back() == *id);
    }
    CHECK(tokenizer->decode(tokenizer->encode("a \xE6\xBC\xA2")) == "a \xE6\xBC\xA2");
  }
}

TEST_CASE("sentencepiece training follows the library's options", "[text][train]") {
  const TempDir folder;
  SentencePieceTrainingConfig config;
  config.model_type = "bpe";
  config.control_symbols = {"<ctrl>"};
  config.split_digits = true;
  config.remove_extra_whitespaces = false;
  config.max_sentencepiece_length = 2;
  config.bos_id = -1;
  config.eos_id = 1;
  config.unk_id = 2;
  config.eos_piece = "<end>";
  const auto tokenizer = train_sentencepiece({"dog 1212 dog 1212", "dog 1212"}, config, folder.path());
  CHECK_FALSE(tokenizer->bos_token_id().has_value());
  CHECK(tokenizer->eos_token_id() == 1);
  CHECK(tokenizer->id_to_token(1) == "<end>");
  CHECK(tokenizer->unk_token_id() == 2);
  CHECK(tokenizer->token_to_id("<ctrl>") == 3);
  CHECK(tokenizer->decode(Ids{3}).empty());
  CHECK_FALSE(tokenizer->token_to_id("12").has_value());
  CHECK_FALSE(tokenizer->token_to_id("dog").has_value());
  CHECK(tokenizer->decode(tokenizer->encode(" dog   12 ")) == " dog   12 ");
  config.model_type = "unigram";
  config.required_chars = "\xE6\xBC\xA2";
  CHECK(train_sentencepiece({"dog 12 dog 12"}, config, folder.path())->token_to_id("\xE6\xBC\xA2").has_value());
}

TEST_CASE("sentencepiece training draws the same captions each time", "[text][train]") {
  const auto captions = testing::golden("byte_bpe.json")["captions"].get<std::vector<std::string>>();
  SentencePieceTrainingConfig config;
  config.vocab_size = 60;
  const TempDir folder;
  const auto train = [&](std::int64_t input_sentence_size, bool shuffle) {
    config.input_sentence_size = input_sentence_size;  // the library takes more than 100
    config.shuffle_input_sentence = shuffle;
    train_sentencepiece(captions, config, folder.path());
    return checksum_file(folder.path() / "tokenizer.model");
  };
  const std::string drawn = train(110, true);
  CHECK(train(110, true) == drawn);
  CHECK(train(110, false) != drawn);
  CHECK(train(0, true) != drawn);
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
  config.vocab_size = 500;
  config.hard_vocab_limit = true;
  CHECK_THROWS_AS(train_sentencepiece({"the quick brown fox"}, config, folder.path()), ConfigError);
  config.pad_id = config.eos_id;
  CHECK_THROWS_WITH(train_sentencepiece({"a"}, config, folder.path()),
                    ContainsSubstring("pad_id and eos_id are both 3"));
  config.pad_id = -1;
  config.bos_id = -1;
  config.eos_id = -1;
  CHECK_THROWS_WITH(train_sentencepiece({"a"}, config, folder.path()),
                    ContainsSubstring("eos_id is below 0") && !ContainsSubstring("both"));
  config.eos_id = 3;
  config.model_type = "bpe";
  config.required_chars = "x";
  CHECK_THROWS_WITH(train_sentencepiece({"a"}, config, folder.path()), ContainsSubstring("need model_type unigram"));
  config.required_chars.clear();
  config.normalization_rule_tsv = "absent.tsv";
  CHECK_THROWS_WITH(train_sentencepiece({"a"}, config, folder.path()), ContainsSubstring("no file absent.tsv"));
}

TEST_CASE("byte bpe training learns first words like others when asked to", "[text][train]") {
  const TempDir folder;
  auto config = small_bpe(1000);
  config.add_prefix_space = true;
  const auto tokenizer = train_byte_bpe({"ab", "ab ab"}, config, folder.path());
  CHECK(tokenizer->token_to_id("\u0120ab").has_value());
  CHECK(tokenizer->encode("ab").size() == 1);
  CHECK(tokenizer->encode("ab") == load_tokenizer(folder.path())->encode(" ab"));
}
