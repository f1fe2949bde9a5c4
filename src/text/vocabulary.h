// Tokens by id and ids by token.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/merge_table.h"

namespace capstan::text {

// Immutable; ids run from 0 to size() - 1 without gaps and no token occurs twice.
class Vocabulary {
 public:
  using Entry = std::pair<std::string, std::int64_t>;

  // Entries in any order. DataError, naming `where`, for an id that is missing, taken twice or negative and for a
  // token that occurs twice.
  static Vocabulary from_entries(std::vector<Entry> entries, const std::string& where);

  Vocabulary() = default;
  // `tokens` by id, all different.
  explicit Vocabulary(std::vector<std::string> tokens);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  std::size_t size() const { return tokens_.size(); }
  const std::string& token(TokenId id) const { return tokens_[id]; }
  std::optional<TokenId> find(std::string_view token) const;

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, TokenId> ids_;  // views into tokens_
};

// DataError unless 0 <= id < size; `kind` names the tokenizer in the message.
void require_id(std::int64_t id, std::size_t size, std::string_view kind);

}  // namespace capstan::text
