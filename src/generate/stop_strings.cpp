// Stop strings, token by token from the end.
#include "generate/stop_strings.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "capstan/core/error.h"

namespace capstan::search {
namespace {

// "<0x0A>" of tokenizers that spell unknown characters as bytes.
std::optional<std::string> byte_of(const std::string& token) {
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>' || !is_hex(token[3]) || !is_hex(token[4]))
    return std::nullopt;
  return std::string(1, static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16)));
}

// What each token adds to a text that it does not begin.
std::vector<std::string> added_texts(const Tokenizer& tokenizer) {
  const bool byte_level = tokenizer.kind() == "byte_bpe";
  const std::string prefix = "abcdef";
  std::vector<std::int64_t> ids = tokenizer.encode(prefix);
  if (byte_level) ids.clear();
  ids.push_back(0);
  std::vector<std::string> texts;
  for (std::int64_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const auto byte = byte_level ? std::nullopt : byte_of(tokenizer.id_to_token(id));
    ids.back() = id;
    std::string text = byte ? *byte : tokenizer.decode_bytes(ids, false);
    const std::size_t start = text.find(prefix);
    if (!byte && !byte_level && start != std::string::npos) text.erase(0, start + prefix.size());
    texts.push_back(std::move(text));
  }
  return texts;
}

// Whether `token` reads as `string` where it overlaps it, when `after` bytes of the string follow the token.
// The token may begin before the string.
bool fits(const std::string& token, const std::string& string, std::size_t after) {
  const std::size_t end = string.size() - after, overlap = std::min(token.size(), end);
  return token.compare(token.size() - overlap, overlap, string, end - overlap, overlap) == 0;
}

}  // namespace

StopStrings::StopStrings(const Tokenizer& tokenizer, std::vector<std::string> strings)
    : strings_(std::move(strings)), tokens_(added_texts(tokenizer)) {
  for (const std::string& string : strings_) {
    CAPSTAN_ASSERT(!string.empty());
    longest_ = std::max(longest_, string.size());
  }
}

bool StopStrings::complete(std::span<const std::int64_t> ids) const {
  return std::any_of(strings_.begin(), strings_.end(), [&](const auto& string) { return complete(ids, string); });
}

bool StopStrings::complete(std::span<const std::int64_t> ids, const std::string& string) const {
  // A model may know more ids than its tokenizer; they match nothing.
  const auto is_known = [&](std::int64_t id) { return static_cast<std::size_t>(id) < tokens_.size(); };
  if (!is_known(ids.back())) return false;
  const std::string& last = tokens_[static_cast<std::size_t>(ids.back())];
  // The string may end anywhere in the last token: `cut` bytes of the token come after it.
  for (std::size_t cut = 0; cut < last.size(); ++cut) {
    const std::string head = last.substr(0, last.size() - cut);
    if (!fits(head, string, 0)) continue;
    std::size_t matched = std::min(head.size(), string.size());
    for (std::size_t i = ids.size() - 1; i-- > 0 && matched < string.size() && ids.size() - i <= longest_;) {
      if (!is_known(ids[i])) break;
      const std::string& token = tokens_[static_cast<std::size_t>(ids[i])];
      if (!fits(token, string, matched)) break;
      matched += token.size();
    }
    if (matched >= string.size()) return true;
  }
  return false;
}

}  // namespace capstan::search
