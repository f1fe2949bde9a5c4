// Generation settings as they stand in model folders.
#include "capstan/generate/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "capstan/config/load.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
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

TEST_CASE("a list of end tokens is read and written", "[generate][unit]") {
  const TempDir folder;
  const auto config = read_with(folder, R"({"eos_token_id": [5, 6, 7]})");
  REQUIRE(config.eos_token_id == 5);
  REQUIRE(config.eos_token_ids() == std::vector<std::int64_t>{5, 6, 7});
  save_generation_config(config, folder.path());
  REQUIRE(read_json(folder.path() / "generation_config.json")["eos_token_id"] == nlohmann::json({5, 6, 7}));
  REQUIRE(read_generation_config(folder.path()).eos_token_ids() == config.eos_token_ids());
}

TEST_CASE("min_new_tokens wins over min_length", "[generate][unit]") {
  const TempDir folder;
  const auto config = read_with(folder, R"({"min_length": 9, "min_new_tokens": 0})");
  REQUIRE(config.min_length == 0);
  REQUIRE(config.min_new_tokens == 0);
  REQUIRE(read_with(folder, R"({"min_length": 9})").min_length == 9);
}

TEST_CASE("every setting of generation_config.json is read by its name and written again", "[generate][unit]") {
  const TempDir folder;
  const std::string text = R"({"max_new_tokens": 30, "min_new_tokens": 3, "num_beams": 4, "early_stopping": "never",
      "length_penalty": 0.5, "num_return_sequences": 2, "do_sample": true, "temperature": 0.7, "top_k": 0,
      "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3,
      "bad_words_ids": [[1, 2], [3]], "forced_bos_token_id": 4, "forced_eos_token_id": 5, "suppress_tokens": [6, 7],
      "begin_suppress_tokens": [8], "stop_strings": "."})";
  const auto config = read_with(folder, text);
  REQUIRE(config.max_new_tokens == 30);
  REQUIRE(config.min_new_tokens == 3);
  REQUIRE(config.num_beams == 4);
  REQUIRE(config.early_stopping == "never");
  REQUIRE(config.length_penalty == 0.5);
  REQUIRE(config.num_return_sequences == 2);
  REQUIRE(config.do_sample);
  REQUIRE(config.temperature == 0.7);
  REQUIRE(config.top_k == 0);
  REQUIRE(config.top_p == 0.9);
  REQUIRE(config.min_p == 0.05);
  REQUIRE(config.repetition_penalty == 1.1);
  REQUIRE(config.no_repeat_ngram_size == 3);
  REQUIRE(config.bad_words_ids == std::vector<std::vector<std::int64_t>>{{1, 2}, {3}});
  REQUIRE(config.forced_bos_token_id == 4);
  REQUIRE(config.forced_eos_token_id == std::vector<std::int64_t>{5});
  REQUIRE(config.suppress_tokens == std::vector<std::int64_t>{6, 7});
  REQUIRE(config.begin_suppress_tokens == std::vector<std::int64_t>{8});
  REQUIRE(config.stop_strings == std::vector<std::string>{"."});

  save_generation_config(config, folder.path());
  const auto written = read_json(folder.path() / "generation_config.json");
  auto given = nlohmann::json::parse(text);
  given["max_length"] = 31;
  given.erase("max_new_tokens");
  given["forced_eos_token_id"] = {5};
  given["stop_strings"] = {"."};
  for (const auto& [key, value] : given.items()) {
    CAPTURE(key);
    REQUIRE(written.contains(key));
    REQUIRE(written[key] == value);
  }
  REQUIRE(config::to_yaml(read_generation_config(folder.path())) == config::to_yaml(config));
}

TEST_CASE("settings that are as everybody expects are not written", "[generate][unit]") {
  const TempDir folder;
  save_generation_config({.max_new_tokens = 9}, folder.path());
  const auto written = read_json(folder.path() / "generation_config.json");
  REQUIRE(written["max_length"] == 10);
  REQUIRE(written.size() == 7);
}

TEST_CASE("early_stopping is true, false or never", "[generate][unit]") {
  const TempDir folder;
  REQUIRE(read_with(folder, R"({"early_stopping": true})").early_stopping == "true");
  REQUIRE(read_with(folder, R"({"early_stopping": false})").early_stopping == "false");
  REQUIRE_THROWS_WITH(read_with(folder, R"({"early_stopping": "soon"})"),
                      ContainsSubstring("early_stopping is \"soon\", expected false, true, never"));
}

TEST_CASE("settings out of range are refused with what was expected", "[generate][unit]") {
  const TempDir folder;
  const auto message =
      GENERATE(as<std::pair<std::string, std::string>>{},
               std::pair{R"({"temperature": 0})", "temperature is 0, expected more than 0"},
               std::pair{R"({"top_p": 1.5})", "top_p is 1.5, expected at most 1"},
               std::pair{R"({"top_k": -1})", "top_k is -1, expected at least 0"},
               std::pair{R"({"num_beams": 2.5})", "num_beams is 2.5, expected an integer"},
               std::pair{R"({"do_sample": 1})", "do_sample is 1, expected true or false"},
               std::pair{R"({"length_penalty": "x"})", "length_penalty is \"x\", expected a number"},
               std::pair{R"({"bad_words_ids": [3]})", "bad_words_ids is [3], expected a list of lists"},
               std::pair{R"({"stop_strings": [3]})", "stop_strings is 3, expected text"},
               std::pair{R"({"suppress_tokens": ["a"]})", "suppress_tokens is \"a\", expected an integer"},
               std::pair{R"({"decoder_start_token_id": [1, 2]})", "expected one id"},
               std::pair{R"({"eos_token_id": []})", "eos_token_id is [], expected a token id"},
               std::pair{R"({"num_return_sequences": 2})", "num_return_sequences is 2, but greedy"});
  REQUIRE_THROWS_WITH(read_with(folder, message.first),
                      ContainsSubstring("generation_config.json") && ContainsSubstring(message.second));
}

TEST_CASE("options that contradict each other are named", "[generate][unit]") {
  const auto problems_of = [](const GenerationConfig& config) {
    std::vector<std::string> problems;
    config.check(problems);
    return fmt::format("{}", fmt::join(problems, "; "));
  };
  REQUIRE(problems_of({}).empty());
  REQUIRE_THAT(problems_of({.num_return_sequences = 2}), ContainsSubstring("greedy search finds one caption"));
  REQUIRE(problems_of({.num_return_sequences = 2, .do_sample = true}).empty());
  REQUIRE_THAT(problems_of({.num_beams = 2, .num_return_sequences = 3}), ContainsSubstring("at most num_beams (2)"));
  REQUIRE_THAT(problems_of({.max_length = 1}), ContainsSubstring("max_length is 1"));
  REQUIRE_THAT(problems_of({.bad_words_ids = {{}}}), ContainsSubstring("bad_words_ids has an empty list"));
  REQUIRE_THAT(problems_of({.stop_strings = {""}}), ContainsSubstring("stop_strings has an empty text"));
  REQUIRE_THAT(problems_of({.forced_bos_token_id = 3, .suppress_tokens = {2, 3}}),
               ContainsSubstring("forced_bos_token_id [3] is also in suppress_tokens"));
  REQUIRE_THAT(problems_of({.forced_eos_token_id = {3}, .suppress_tokens = {3}}),
               ContainsSubstring("forced_eos_token_id [3]"));
  REQUIRE(problems_of({.forced_eos_token_id = {3, 4}, .suppress_tokens = {3}}).empty());
}

TEST_CASE("the tighter of max_new_tokens and max_length holds", "[generate][unit]") {
  REQUIRE(GenerationConfig{.max_new_tokens = 8}.longest() == 8);
  REQUIRE(GenerationConfig{.max_new_tokens = 8, .max_length = 5}.longest() == 4);
  REQUIRE(GenerationConfig{.max_new_tokens = 8, .max_length = 50}.longest() == 8);
}

TEST_CASE("generation settings are read from YAML and written to it", "[generate][unit]") {
  const std::string text =
      "bad_words_ids: [[11], [2, 3]]\nearly_stopping: true\nforced_bos_token_id: 7\nstop_strings: [\".\"]";
  config::Problems problems;
  GenerationConfig config;
  config::read(config::parse_yaml(text, "run.yaml"), config, problems);
  REQUIRE(problems.empty());
  REQUIRE(config.bad_words_ids == std::vector<std::vector<std::int64_t>>{{11}, {2, 3}});
  REQUIRE(config.early_stopping == "true");
  GenerationConfig again;
  config::read(config::parse_yaml(config::to_yaml(config), "again.yaml"), again, problems);
  REQUIRE(problems.empty());
  REQUIRE(config::to_yaml(again) == config::to_yaml(config));
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
