// The kinds of tokenizer this build knows, by name.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "capstan/core/registry.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct TokenizerEntry {
  std::string name;
  std::string summary;
  std::string files;  // what it looks for, in messages
  // Whether an existing file or folder is of this kind; at most one kind says yes.
  std::function<bool(const std::filesystem::path&)> matches;
  std::function<std::shared_ptr<const Tokenizer>(const std::filesystem::path&, const TokenizerOptions&)> load;
};
const Registry<TokenizerEntry>& tokenizers();

}  // namespace capstan
