// One picture in two splits, captions that are there twice, and captions that are filtered.
#include "capstan/core/error.h"
#include "capstan/data/captions.h"
#include "capstan/data/prepare.h"
#include "support/catch.h"
#include "unit/data/fixture.h"

namespace capstan::testing {
namespace {

std::vector<nlohmann::json> lines_of(const fs::path& file) {
  std::vector<nlohmann::json> lines;
  for (const std::string& line : split(read_file(file), '\n'))
    if (!line.empty()) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("a picture in two splits stops prepare, or is dropped from training", "[data][leaks]") {
  const Dataset dataset(Dataset::records(20));  // 104 is for validation
  fs::copy_file(dataset.file(4), dataset.file(12), fs::copy_options::overwrite_existing);
  const TempDir folder;
  auto options = options_for(folder.path() / "cache");
  CHECK_THROWS_WITH(prepare_dataset(dataset, options),
                    ContainsSubstring("112.jpg of the split 'train' is the same picture as") &&
                        ContainsSubstring("104.jpg of the split 'validation'") && ContainsSubstring("on_leak: drop"));
  options.on_leak = "drop";  // goes on with what was finished
  const auto summary = prepare_dataset(dataset, options);
  CHECK(summary.images == std::map<std::string, std::int64_t>{{"train", 15}, {"validation", 4}});
  const auto errors = lines_of(options.output / "errors.jsonl");
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0].at("file").get<std::string>(), ContainsSubstring("112.jpg"));
  CHECK_THAT(errors[0].at("reason").get<std::string>(), ContainsSubstring("the same picture as"));
}

TEST_CASE("a picture twice in one split is taken and noted", "[data][leaks]") {
  const Dataset dataset(Dataset::records(20));
  fs::copy_file(dataset.file(5), dataset.file(12), fs::copy_options::overwrite_existing);
  const TempDir output;
  const auto summary = prepare_dataset(dataset, options_for(output.path()));
  CHECK(summary.errors == 0);
  CHECK(summary.notes == 1);
  CHECK_THAT(lines_of(output.path() / "notes.jsonl").at(0).at("reason").get<std::string>(),
             ContainsSubstring("105.jpg"));
}

TEST_CASE("captions that are there twice or nearly empty are reported", "[data][captions]") {
  const Dataset dataset({{.id = "1", .captions = {"a dog runs", "A dog  runs ", "dog", "a cat sits"}}});
  const TempDir kept, dropped;
  auto options = options_for(kept.path());
  CHECK(prepare_dataset(dataset, options).notes == 2);
  CHECK(Cache(kept.path(), "train").num_captions() == 4);
  options.output = dropped.path();
  options.captions.duplicates = "drop";
  const auto summary = prepare_dataset(dataset, options);
  CHECK(summary.notes == 1);
  CHECK(summary.errors == 1);
  CHECK(Cache(dropped.path(), "train").captions_of(0) == std::vector<std::string>{"a dog runs", "dog", "a cat sits"});
}

TEST_CASE("captions are filtered by length, words and expressions", "[data][captions]") {
  CaptionFilterConfig config;
  config.min_characters = 4;
  config.max_characters = 12;
  config.min_words = 2;
  config.max_words = 3;
  config.must_match = "[a-z]";
  config.must_not_match = "http";
  const CaptionFilter filter(config);
  const auto reason = [&](const std::string& caption) { return filter.refuse(caption).value_or("taken"); };
  CHECK(reason("a dog") == "taken");
  CHECK(reason("\xc3\xa9t\xc3\xa9 \xc3\xa0 la-mer") == "taken");  // twelve characters in fifteen bytes
  CHECK(reason("  ") == "the caption is empty");
  CHECK(reason("a b") == "the caption 'a b' has 3 characters, taken are 4 to 12");
  CHECK(reason("a dog in the park") == "the caption 'a dog in the park' has 17 characters, taken are 4 to 12");
  CHECK(reason("kitten") == "the caption 'kitten' has 1 words, expected at least 2");
  CHECK(reason("a b c dog") == "the caption 'a b c dog' has 4 words, expected at most 3");
  CHECK(reason("123 456") == "the caption '123 456' does not match must_match");
  CHECK(reason("see http") == "the caption 'see http' matches must_not_match");
  config.must_match = "(";
  std::vector<std::string> problems;
  config.check(problems);
  REQUIRE(problems.size() == 1);
  CHECK_THAT(problems[0], ContainsSubstring("must_match: '(' is no regular expression"));
}

TEST_CASE("two captions are the same whatever their case and spaces", "[data][captions]") {
  CHECK(caption_key(" A  Dog\t\nruns ") == "a dog runs");
  CHECK(caption_key("a dog runs") != caption_key("a dog ran"));
}

}  // namespace capstan::testing
