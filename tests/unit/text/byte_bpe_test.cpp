// byte_bpe against Hugging Face tokenizers (tests/golden/byte_bpe.json and the shared GPT-2 files).
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/text/tokenizer.h"
#include "support/golden.h"
#include "support/shared_data.h"
#include "tokenizer_files.h"

using namespace capstan;
using namespace capstan::testing;
using nlohmann::json;
using Ids = std::vector<std::int64_t>;

namespace {

// `base` with the keys of `patch` replaced; inside "model" key by key.
json patched(json base, const json& patch) {
  for (const auto& [key, value] : patch.items()) {
    if (key == "model") {
      base[key].update(value);
    } else {
      base[key] = value;
    }
  }
  return base;
}

void check_case(const Tokenizer& tokenizer, const json& golden) {
  for (const auto& row : golden["encode"]) {
    INFO(row.dump());
    REQUIRE(tokenizer.encode(row["text"].get<std::string>()) == row["ids"].get<Ids>());
  }
  for (const auto& row : golden["decode"]) {
    INFO(row.dump());
    const auto ids = row["ids"].get<Ids>();
    REQUIRE(tokenizer.decode(ids) == row["text"].get<std::string>());
    REQUIRE(tokenizer.decode(ids, false) == row["with_special"].get<std::string>());
  }
}

std::vector<json> read_lines(const fs::path& path) {
  std::vector<json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) rows.push_back(json::parse(line));
  return rows;
}

}  // namespace

TEST_CASE("byte bpe gives the ids and texts of Hugging Face tokenizers, also after saving", "[text][byte_bpe]") {
  const json golden = testing::golden("byte_bpe.json");
  REQUIRE(golden["cases"].size() == 8);
  for (const auto& one : golden["cases"]) {
    INFO(one["name"].get<std::string>());
    const TempDir folder;
    write_file_atomic(folder.path() / "tokenizer.json", patched(golden["base"], one["patch"]).dump());
    const auto tokenizer = load_tokenizer(folder.path());
    check_case(*tokenizer, one);
    const TempDir saved;
    tokenizer->save(saved.path());
    check_case(*load_tokenizer(saved.path()), one);
    check_case(*load_tokenizer(saved.path() / "tokenizer.json"), one);
  }
}

TEST_CASE("byte bpe gives the 600 id lists of the GPT-2 texts", "[text][byte_bpe]") {
  const auto shared = shared_data();
  if (!shared) SKIP("the shared GPT-2 files are absent");
  const auto tokenizer = load_tokenizer(*shared / "gpt2");
  CHECK(tokenizer->kind() == "byte_bpe");
  CHECK(tokenizer->vocab_size() == 50257);
  CHECK(tokenizer->eos_token_id() == 50256);
  auto rows = read_lines(*shared / "gpt2/expected_ids.jsonl");
  REQUIRE(rows.size() == 600);
  const json published = read_json(*shared / "gpt2/published_cases.json");
  rows.insert(rows.end(), published.begin(), published.end());
  for (const auto& row : rows) {
    const auto text = row["text"].get<std::string>();
    INFO(text);
    REQUIRE(tokenizer->encode(text) == row["ids"].get<Ids>());
    REQUIRE(tokenizer->decode(tokenizer->encode(text)) == text);
  }
}

TEST_CASE("byte bpe keeps every byte of text that is not UTF-8", "[text][byte_bpe]") {
  const json golden = testing::golden("byte_bpe.json");
  const TempDir folder;
  write_file_atomic(folder.path() / "tokenizer.json", golden["base"].dump());
  const auto tokenizer = load_tokenizer(folder.path());
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  // Token by token the bytes come back as they were; together they decode like HF, with replacement characters.
  std::size_t num_bytes = 0;
  for (const std::int64_t id : tokenizer->encode(all)) {
    const std::string token = tokenizer->id_to_token(id);
    for (const char c : token) num_bytes += (c & 0xC0) != 0x80 ? 1 : 0;
  }
  CHECK(num_bytes == 256);
  CHECK(tokenizer->decode(tokenizer->encode("a\xFF"
                                            "b")) ==
        "a\xEF\xBF\xBD"
        "b");
}

TEST_CASE("byte bpe reads vocab.json and merges.txt and assumes GPT-2's special token", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  CHECK(tokenizer->encode("ab ab<|endoftext|>ba") == Ids{3, 4, 5, 1, 0});
  CHECK(tokenizer->decode(Ids{3, 4, 5}) == "ab ab");
  CHECK(tokenizer->decode(Ids{3, 4, 5}, false) == "ab ab<|endoftext|>");
  CHECK(tokenizer->bos_token_id() == 5);
  CHECK(tokenizer->eos_token_id() == 5);
  CHECK(tokenizer->unk_token_id() == 5);
  CHECK_FALSE(tokenizer->pad_token_id().has_value());
  CHECK(tokenizer->token_to_id("ab") == 3);
  CHECK_FALSE(tokenizer->token_to_id("zz").has_value());
  CHECK(tokenizer->id_to_token(3) == "ab");
}

TEST_CASE("special tokens come from the configuration files", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  write_file_atomic(folder.path() / "tokenizer_config.json",
                    R"({"eos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": true},
                        "add_prefix_space": true, "model_max_length": 77})");
  write_file_atomic(folder.path() / "special_tokens_map.json", R"({"eos_token": "ab", "pad_token": "[PAD]"})");
  const auto tokenizer = load_tokenizer(folder.path());
  CHECK(tokenizer->eos_token_id() == 5);
  CHECK(tokenizer->pad_token_id() == 6);  // not in the vocabulary: the next id, as in transformers
  CHECK_FALSE(tokenizer->bos_token_id().has_value());
  CHECK(tokenizer->vocab_size() == 7);
  CHECK(tokenizer->encode("ab  <|endoftext|>") == Ids{4, 5});
  const TempDir saved;
  tokenizer->save(saved.path());
  const json config = read_json(saved.path() / "tokenizer_config.json");
  CHECK(config["eos_token"] == "<|endoftext|>");
  CHECK(config["pad_token"] == "[PAD]");
  CHECK(config["model_max_length"] == 77);
  CHECK(config["add_prefix_space"] == true);
  CHECK(config["tokenizer_class"] == "PreTrainedTokenizerFast");  // GPT2Tokenizer would invent bos and unk
  CHECK(load_tokenizer(saved.path())->encode("ab  <|endoftext|>") == Ids{4, 5});
}

TEST_CASE("byte bpe reads added_tokens.json", "[text][byte_bpe]") {
  const TempDir folder;
  write_tiny(folder.path());
  write_file_atomic(folder.path() / "added_tokens.json", R"({"<image>": 6})");
  const auto tokenizer = load_tokenizer(folder.path());
  CHECK(tokenizer->encode("ab<image>ab") == Ids{3, 6, 3});
  CHECK(tokenizer->decode(Ids{3, 6}) == "ab<image>");
}

TEST_CASE("byte bpe encodes from several threads at once", "[text][byte_bpe]") {
  const json golden = testing::golden("byte_bpe.json");
  const TempDir folder;
  write_file_atomic(folder.path() / "tokenizer.json", golden["base"].dump());
  const auto tokenizer = load_tokenizer(folder.path());
  const auto captions = golden["captions"].get<std::vector<std::string>>();
  const auto expected = golden["caption_ids"].get<std::vector<Ids>>();
  std::vector<int> num_equal(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int& count : num_equal) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < captions.size(); ++i) count += tokenizer->encode(captions[i]) == expected[i];
      });
    }
  }
  CHECK(num_equal == std::vector<int>(4, static_cast<int>(captions.size())));
}
