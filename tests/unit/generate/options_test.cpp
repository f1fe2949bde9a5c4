// Generation settings as they stand in model folders.
#include "capstan/generate/options.h"

#include "capstan/core/error.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

// A folder with a config.json and the given text as generation_config.json.
GenerationConfig read_with(const TempDir& folder, const std::string& generation) {
  save_config(tiny_config(), "float32", folder.path());
  if (!generation.empty()) write_file_atomic(folder.path() / "generation_config.json", generation);
  return read_generation_config(folder.path());
}

}  // namespace

TEST_CASE("max_length counts the start token", "[generate][unit]") {
  const TempDir folder;
  REQUIRE(read_with(folder, R"({"max_length": 50})").max_new_tokens == 49);
}

TEST_CASE("max_new_tokens wins over max_length", "[generate][unit]") {
  const TempDir folder;
  REQUIRE(read_with(folder, R"({"max_length": 50, "max_new_tokens": 7})").max_new_tokens == 7);
}

TEST_CASE("without a length 20 tokens are drawn, as transformers does", "[generate][unit]") {
  const TempDir folder;
  REQUIRE(read_with(folder, "").max_new_tokens == 20);
  REQUIRE(read_with(folder, R"({"max_length": null})").max_new_tokens == 20);
}

TEST_CASE("generation_config.json wins over config.json, id by id", "[generate][unit]") {
  const TempDir folder;
  const auto config = read_with(folder, R"({"eos_token_id": [5], "pad_token_id": null})");
  REQUIRE(config.eos_token_id == 5);
  REQUIRE(config.pad_token_id == 0);
}

TEST_CASE("generation settings that cannot be are refused with the file and the key", "[generate][unit]") {
  const TempDir folder;
  const auto message = GENERATE(as<std::pair<std::string, std::string>>{},
                                std::pair{R"({"max_length": "long"})", "max_length is \"long\", expected an integer"},
                                std::pair{R"({"max_length": 1})", "max_length is 1, expected an integer of at least 2"},
                                std::pair{R"({"max_new_tokens": 0})", "max_new_tokens is 0"},
                                std::pair{R"({"eos_token_id": -1})", "eos_token_id is -1, expected a token id"},
                                std::pair{R"([])", "expected a JSON object"});
  REQUIRE_THROWS_AS(read_with(folder, message.first), CheckpointError);
  REQUIRE_THROWS_WITH(read_generation_config(folder.path()),
                      ContainsSubstring("generation_config.json") && ContainsSubstring(message.second));
}

TEST_CASE("a list of end tokens is refused as unsupported", "[generate][unit]") {
  const TempDir folder;
  REQUIRE_THROWS_AS(read_with(folder, R"({"eos_token_id": [5, 6]})"), UnsupportedError);
}

TEST_CASE("generation settings survive being written and read", "[generate][unit]") {
  const TempDir folder;
  save_config(tiny_config(), "float32", folder.path());
  save_generation_config(
      {.max_new_tokens = 17, .decoder_start_token_id = 1, .eos_token_id = 2, .pad_token_id = 3, .bos_token_id = 1},
      folder.path());
  const auto config = read_generation_config(folder.path());
  REQUIRE(config.max_new_tokens == 17);
  REQUIRE(config.decoder_start_token_id == 1);
  REQUIRE(config.eos_token_id == 2);
  REQUIRE(config.pad_token_id == 3);
}
