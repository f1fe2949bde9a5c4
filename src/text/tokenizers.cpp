// The list of tokenizers and the choice among them by the files of a folder.
#include "capstan/text/tokenizers.h"

#include <fmt/format.h>

#include "capstan/core/error.h"

namespace capstan {

#define CAPSTAN_TOKENIZER(name) TokenizerEntry name##_tokenizer();
#include "text/tokenizers.def"
#undef CAPSTAN_TOKENIZER

const Registry<TokenizerEntry>& tokenizers() {
  static const Registry<TokenizerEntry> registry = [] {
    Registry<TokenizerEntry> list("tokenizer");
#define CAPSTAN_TOKENIZER(name) list.add(name##_tokenizer());
#include "text/tokenizers.def"
#undef CAPSTAN_TOKENIZER
    return list;
  }();
  return registry;
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path, const TokenizerOptions& options) {
  if (!std::filesystem::exists(path)) {
    throw DataError(fmt::format("{}: there is no such file or folder to load a tokenizer from.", path.string()));
  }
  std::string looked_for;
  for (const auto& [name, entry] : tokenizers().entries()) {
    if (entry.matches(path)) return entry.load(path, options);
    looked_for += fmt::format("\n  {} ({})", entry.files, name);
  }
  throw DataError(fmt::format("{}: no tokenizer found; looked for:{}", path.string(), looked_for));
}

std::string clean_up_tokenization(std::string text) {
  // In the order of transformers, which matters: each rule sees what the one before left.
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) {
    std::string result;
    std::size_t done = 0;
    for (std::size_t at = 0; (at = text.find(from, done)) != std::string::npos; done = at + from.size()) {
      result.append(text, done, at - done).append(to);
    }
    if (done > 0) text = result.append(text, done);
  }
  return text;
}

}  // namespace capstan
