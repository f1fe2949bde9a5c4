// The checks that every vocabulary passes before anything indexes by its ids.
#include "text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "capstan/core/error.h"

namespace capstan::text {

Vocabulary::Vocabulary(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  ids_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) ids_.emplace(tokens_[id], static_cast<TokenId>(id));
}

Vocabulary Vocabulary::from_entries(std::vector<Entry> entries, const std::string& where) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.second, a.first) < std::tie(b.second, b.first); });
  std::vector<std::string> tokens;
  tokens.reserve(entries.size());
  for (auto& [token, id] : entries) {
    const auto expected = static_cast<std::int64_t>(tokens.size());
    if (id < 0) throw DataError(fmt::format("{}: the token '{}' has id {}; ids start at 0.", where, token, id));
    if (id < expected) {
      throw DataError(fmt::format("{}: the tokens '{}' and '{}' both have id {}; every token needs an id of its own.",
                                  where, tokens.back(), token, id));
    }
    if (id > expected) {
      throw DataError(
          fmt::format("{}: no token has id {}, although there are {} tokens; ids must run from 0 to {} "
                      "without gaps.",
                      where, expected, entries.size(), entries.size() - 1));
    }
    tokens.push_back(std::move(token));
  }
  Vocabulary vocabulary(std::move(tokens));
  if (vocabulary.ids_.size() != vocabulary.tokens_.size()) {
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
      const TokenId first = vocabulary.ids_.at(vocabulary.tokens_[id]);
      if (first == id) continue;
      throw DataError(fmt::format("{}: the token '{}' has the ids {} and {}; it needs one.", where,
                                  vocabulary.tokens_[id], first, id));
    }
  }
  return vocabulary;
}

std::optional<TokenId> Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void require_id(std::int64_t id, std::size_t size, std::string_view kind) {
  if (id >= 0 && static_cast<std::uint64_t>(id) < size) return;
  throw DataError(
      fmt::format("the {} tokenizer has no token with id {}; its ids run from 0 to {}. Are the ids from "
                  "another tokenizer?",
                  kind, id, static_cast<std::int64_t>(size) - 1));
}

}  // namespace capstan::text
