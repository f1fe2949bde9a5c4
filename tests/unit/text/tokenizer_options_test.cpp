// Opening a tokenizer otherwise than its files say, cleaning up decoded text, and bytes that come back as they were.
#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "capstan/text/tokenizer.h"
#include "capstan/text/train.h"
#include "support/golden.h"
#include "support/shared_data.h"
#include "tokenizer_files.h"

using namespace capstan;
using namespace capstan::testing;
using nlohmann::json;
using Ids = std::vector<std::int64_t>;

namespace {

// Texts that no one writes: bytes that are no UTF-8, zeros, halves of characters, rows of spaces, added tokens.
std::string random_bytes(Random& random) {
  static const std::string kPieces[] = {"<|endoftext|>",    " ",     "\xE6\xBC",
                                        "\xF0\x9F\x91\x8B", "don't", std::string(3, '\0')};
  std::string bytes;
  for (std::uint64_t left = random.below(64); left > 0; --left) {
    if (random.below(6) == 0) {
      bytes += kPieces[random.below(std::size(kPieces))];
    } else {
      bytes.push_back(static_cast<char>(random.below(256)));
    }
  }
  return bytes;
}

void check_bytes_come_back(const Tokenizer& tokenizer) {
  Random random(5);
  int num_not_text = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string bytes = random_bytes(random);
    const auto ids = tokenizer.encode(bytes);
    REQUIRE(tokenizer.decode_bytes(ids, false) == bytes);
    num_not_text += tokenizer.decode(ids, false) != bytes;  // that one is always UTF-8
  }
  CHECK(num_not_text > 1000);
  std::string long_bytes;
  for (int i = 0; i < 100'000; ++i) long_bytes.push_back(static_cast<char>(random.below(256)));
  CHECK(tokenizer.decode_bytes(tokenizer.encode(long_bytes), false) == long_bytes);
}

std::shared_ptr<const Tokenizer> save_and_load(const Tokenizer& tokenizer, const fs::path& folder) {
  tokenizer.save(folder);
  return load_tokenizer(folder);
}

}  // namespace

TEST_CASE("byte bpe gives any bytes back as they were", "[text][byte_bpe]") {
  const TempDir folder;
  write_file_atomic(folder.path() / "tokenizer.json", golden("byte_bpe.json")["base"].dump());
  check_bytes_come_back(*load_tokenizer(folder.path()));
}

TEST_CASE("GPT-2's tokenizer gives any bytes back as they were", "[text][byte_bpe]") {
  const auto shared = shared_data();
  if (!shared) SKIP("the shared GPT-2 files are absent");
  check_bytes_come_back(*load_tokenizer(*shared / "gpt2"));
}

TEST_CASE("cleaning up removes the spaces English does not have", "[text][options]") {
  // What transformers.PreTrainedTokenizerBase.clean_up_tokenization makes of these.
  CHECK(clean_up_tokenization("it 's a dog . it is n't , is it ? no !") == "it's a dog. it isn't, is it? no!");
  CHECK(clean_up_tokenization("we 're , I 'm , they 've ' quoted ' words") == "we're, I'm, they've'quoted'words");
  CHECK(clean_up_tokenization("a . . .  . b") == "a... . b");
  CHECK(clean_up_tokenization(" .") == ".");
  CHECK(clean_up_tokenization("nothing to do").size() == 13);
  CHECK(clean_up_tokenization("").empty());
}

TEST_CASE("byte bpe cleans up where options or both keys of the folder say so", "[text][options]") {
  const TempDir folder, saved;
  json file = tiny_tokenizer_json();
  file["added_tokens"].push_back({{"id", 6}, {"content", " ."}, {"special", false}});
  write_file_atomic(folder.path() / "tokenizer.json", file.dump());
  const Ids ids{3, 6, 4};
  CHECK(load_tokenizer(folder.path())->decode(ids) == "ab . ab");
  const auto cleaned = load_tokenizer(folder.path(), {.clean_up_tokenization_spaces = true});
  CHECK(cleaned->decode(ids) == "ab. ab");
  CHECK(cleaned->decode_bytes(ids) == "ab . ab");
  CHECK(save_and_load(*cleaned, saved.path())->decode(ids) == "ab. ab");
  CHECK(load_tokenizer(saved.path(), {.clean_up_tokenization_spaces = false})->decode(ids) == "ab . ab");
  // The key that old folders carry says nothing about BPE to transformers 5.
  write_file_atomic(folder.path() / "tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  CHECK(load_tokenizer(folder.path())->decode(ids) == "ab . ab");
  write_file_atomic(folder.path() / "tokenizer_config.json", R"({"clean_up_tokenization_spaces": "yes"})");
  CHECK_THROWS_WITH(load_tokenizer(folder.path()), ContainsSubstring("clean_up_tokenization_spaces"));
}

TEST_CASE("byte bpe takes new tokens and the prefix space from options", "[text][options]") {
  const TempDir folder, saved;
  write_tiny(folder.path());
  const auto tokenizer = load_tokenizer(
      folder.path(), {.add_prefix_space = true, .added_tokens = {"<image>", "ab"}, .special_tokens = {"[SEP]"}});
  CHECK(tokenizer->vocab_size() == 8);
  const auto again = save_and_load(*tokenizer, saved.path());
  for (const auto& one : {tokenizer, again}) {
    CHECK(one->token_to_id("<image>") == 6);
    CHECK(one->token_to_id("[SEP]") == 7);
    CHECK(one->encode("ba<image>ab[SEP]") == Ids{2, 1, 0, 6, 3, 7});
    CHECK(one->encode("b ab") == Ids{2, 1, 2, 3});  // "ab" is taken out as it stands now
    CHECK(one->decode(Ids{3, 6, 7}) == "ab<image>");
    CHECK(one->decode(Ids{3, 6, 7}, false) == "ab<image>[SEP]");
  }
  CHECK(load_tokenizer(folder.path())->vocab_size() == 6);
  CHECK_THROWS_WITH(load_tokenizer(folder.path(), {.special_tokens = {""}}),
                    ContainsSubstring("special_tokens holds an empty text"));
}

TEST_CASE("sentencepiece cleans up, and says what it cannot change", "[text][options]") {
  const TempDir folder, saved;
  SentencePieceTrainingConfig config;
  config.character_coverage = 1;
  for (const std::string type : {"unigram", "bpe"}) {
    config.model_type = type;
    train_sentencepiece({"a dog is n't here , is it ?", "a dog ran"}, config, folder.path());
    const auto tokenizer = load_tokenizer(folder.path(), {.clean_up_tokenization_spaces = true});
    const auto ids = tokenizer->encode("a dog is n't here ?");
    CHECK(tokenizer->decode(ids) == "a dog isn't here?");
    CHECK(save_and_load(*tokenizer, saved.path())->decode(ids) == "a dog isn't here?");
    CHECK(load_tokenizer(folder.path())->decode(ids) == "a dog is n't here ?");
  }
  CHECK_THROWS_WITH(load_tokenizer(folder.path(), {.add_prefix_space = true}), ContainsSubstring("add_dummy_prefix"));
  CHECK_THROWS_WITH(load_tokenizer(folder.path(), {.added_tokens = {"x"}}), ContainsSubstring("user_defined_symbols"));
  CHECK_THROWS_AS(load_tokenizer(folder.path(), {.special_tokens = {"x"}}), UnsupportedError);
}
