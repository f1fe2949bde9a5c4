#include "capstan/hub/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/hub/names.h"

namespace capstan::hub {
namespace {

using Names = std::vector<std::string>;

const Names& described() {
  static const Names kNames{"config.json",
                            "generation_config.json",
                            "preprocessor_config.json",
                            "processor_config.json",
                            "tokenizer.json",
                            "tokenizer_config.json",
                            "special_tokens_map.json",
                            "added_tokens.json",
                            "vocab.json",
                            "merges.txt",
                            "tokenizer.model",
                            "spiece.model",
                            "sentencepiece.bpe.model",
                            "adapter_config.json",
                            "adapter_model.safetensors"};
  return kNames;
}

// The formats of weights from best to last; the first of which the repository holds a file is taken.
const std::vector<Names>& weight_formats() {
  static const std::vector<Names> kFormats{
      {"model.safetensors"},
      {"model.safetensors.index.json", "model-[0-9]*-of-[0-9]*.safetensors"},
      {"pytorch_model.bin"},
      {"pytorch_model.bin.index.json", "pytorch_model-[0-9]*-of-[0-9]*.bin"},
  };
  return kFormats;
}

// Only files of the top folder: subfolders hold exports and copies in other formats.
bool is_top(const std::string& name) { return name.find('/') == std::string::npos; }

Names needed(std::span<const std::string> names, std::string& warning) {
  Names patterns = described();
  const auto holds = [&](const std::string& wanted) {
    return std::find(names.begin(), names.end(), wanted) != names.end();
  };
  bool weights = false;
  for (const auto& format : weight_formats()) {
    if (weights || !holds(format.front())) continue;
    patterns.insert(patterns.end(), format.begin(), format.end());
    weights = true;
  }
  if (!weights && !holds("adapter_model.safetensors"))
    warning = "holds no weights that Capstan reads (model.safetensors or pytorch_model.bin)";
  Names chosen;
  for (const auto& name : names)
    if (is_top(name) && matches_any(name, patterns)) chosen.push_back(name);
  return chosen;
}

std::string some_of(std::span<const std::string> names) {
  constexpr std::size_t kShown = 12;
  Names shown;
  for (const auto& name : names.subspan(0, std::min(names.size(), kShown))) shown.push_back(printable(name, 80));
  const std::string more = names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : "";
  return names.empty() ? "nothing" : join(shown, ", ") + more;
}

}  // namespace

Selection select_files(std::span<const std::string> names, bool everything, std::span<const std::string> include,
                       std::span<const std::string> exclude, const std::string& where) {
  Selection selection;
  if (!include.empty()) {
    for (const auto& name : names)
      if (matches_any(name, include)) selection.names.push_back(name);
    for (const auto& pattern : include)
      if (std::none_of(names.begin(), names.end(), [&](const auto& name) { return matches_any(name, {&pattern, 1}); }))
        throw DataError(fmt::format("{}: no file matches include={}.{} It holds: {}", where, printable(pattern),
                                    did_you_mean(pattern, names), some_of(names)));
  } else if (everything) {
    selection.names.assign(names.begin(), names.end());
  } else {
    selection.names = needed(names, selection.warning);
  }
  std::erase_if(selection.names, [&](const std::string& name) { return matches_any(name, exclude); });
  if (selection.names.empty())
    throw DataError(fmt::format("{}: nothing to fetch; it holds: {}. Say which files with include=\"*.json,...\"",
                                where, some_of(names)));
  return selection;
}

}  // namespace capstan::hub
