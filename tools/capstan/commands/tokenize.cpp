// capstan tokenize: lines of text to ids, or back.
#include <fmt/format.h>
#include <charconv>

#include <iostream>
#include <sstream>

#include "capstan/core/error.h"
#include "capstan/text/tokenizer.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct TokenizeCommandOptions {
  bool decode = false;
  bool skip_special_tokens = true;
  TokenizerOptions tokenizer;

  template <class Visitor>
  void fields(Visitor& v) {
    v("decode", decode, "Read lines of ids and print text.");
    v("skip_special_tokens", skip_special_tokens, "Leave special tokens out of decoded text.");
    tokenizer.fields(v);
  }
};

std::vector<std::int64_t> parse_ids(const std::string& line, std::int64_t line_number) {
  std::vector<std::int64_t> ids;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      throw DataError(
          fmt::format("standard input:{}: found '{}', expected ids separated by spaces", line_number, word));
    ids.push_back(id);
  }
  return ids;
}

int run(const Arguments& arguments) {
  const auto options = load_options<TokenizeCommandOptions>(arguments.overrides);
  const auto tokenizer = load_tokenizer(arguments.paths.front(), options.tokenizer);
  std::int64_t line_number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++line_number;
    if (options.decode) {
      std::cout << tokenizer->decode(parse_ids(line, line_number), options.skip_special_tokens) << '\n';
      continue;
    }
    const auto ids = tokenizer->encode(line);
    for (std::size_t i = 0; i < ids.size(); ++i) std::cout << (i == 0 ? "" : " ") << ids[i];
    std::cout << '\n';
  }
  return 0;
}

}  // namespace

Command tokenize_command() {
  return {.name = "tokenize",
          .summary = "Read lines of text from standard input and print their ids.",
          .paths = "MODEL_OR_TOKENIZER_DIR",
          .min_paths = 1,
          .max_paths = 1,
          .options = describe_options<TokenizeCommandOptions>(),
          .example = "echo 'a red circle' | capstan tokenize checkpoints/scenes/checkpoint-500",
          .run = run};
}

}  // namespace capstan::cli
