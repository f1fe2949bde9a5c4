// Tokens per second of one tokenizer on one thread, loading excluded:
//   bench_tokenizers TOKENIZER TEXTS.txt SECONDS [IDS.json]
// TEXTS holds one text a line. Prints {"tokens", "seconds"} of whole passes over the texts; IDS gets the ids of one
// pass, so that the caller can compare them with the peer's before it compares speeds.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/text/tokenizer.h"

namespace {

using namespace capstan;

void write_ids(const Tokenizer& tokenizer, const std::vector<std::string>& texts, const fs::path& path) {
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& text : texts) rows.push_back(tokenizer.encode(text));
  write_file_atomic(path, rows.dump());
}

}  // namespace

int run(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: bench_tokenizers TOKENIZER TEXTS.txt SECONDS [IDS.json]\n", stderr);
    return 2;
  }
  const auto tokenizer = load_tokenizer(argv[1]);
  auto texts = split(read_file(argv[2]), '\n');
  if (!texts.empty() && texts.back().empty()) texts.pop_back();
  if (argc > 4) write_ids(*tokenizer, texts, argv[4]);

  const double wanted = std::atof(argv[3]);
  std::size_t num_tokens = 0;
  std::chrono::duration<double> elapsed{0};
  const auto begin = std::chrono::steady_clock::now();
  do {
    for (const std::string& text : texts) num_tokens += tokenizer->encode(text).size();
    elapsed = std::chrono::steady_clock::now() - begin;
  } while (elapsed.count() < wanted);
  fmt::print("{{\"tokens\": {}, \"seconds\": {}}}\n", num_tokens, elapsed.count());
  return 0;
}
