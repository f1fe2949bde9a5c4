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

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw DataError(fmt::format("{}: there is no such file or folder to load a tokenizer from.", path.string()));
  }
  std::string looked_for;
  for (const auto& [name, entry] : tokenizers().entries()) {
    if (entry.matches(path)) return entry.load(path);
    looked_for += fmt::format("\n  {} ({})", entry.files, name);
  }
  throw DataError(fmt::format("{}: no tokenizer found; looked for:{}", path.string(), looked_for));
}

}  // namespace capstan
