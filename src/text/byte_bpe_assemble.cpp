// Vocabulary, merges, added tokens and roles become one checked whole.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "text/byte_bpe.h"

namespace capstan::text {
namespace {

constexpr std::string_view kDefaultSpecial = "<|endoftext|>";

bool contains(const std::vector<AddedToken>& tokens, std::string_view content) {
  return std::any_of(tokens.begin(), tokens.end(), [&](const AddedToken& token) { return token.content == content; });
}

// Folders that say nothing about special tokens mean GPT-2's, where the vocabulary has it.
void default_roles(const std::unordered_map<std::string, std::int64_t>& ids, TokenizerConfig& config) {
  if (config.found || !ids.contains(std::string(kDefaultSpecial))) return;
  for (const Role role : {Role::kBos, Role::kEos, Role::kUnk}) {
    config.roles[role] = AddedToken{.content = std::string(kDefaultSpecial)};
  }
}

// Tokens named by the configuration that the vocabulary lacks get the next ids, as in transformers.
void add_missing_tokens(const TokenizerConfig& config, std::unordered_map<std::string, std::int64_t>& ids,
                        const std::string& where, std::vector<AddedToken>& added) {
  std::vector<AddedToken> wanted;
  for (const auto& [role, key] : kRoles) {
    if (config.roles[role]) wanted.push_back(*config.roles[role]);
  }
  wanted.insert(wanted.end(), config.others.begin(), config.others.end());
  const std::size_t num_named = wanted.size();  // by the files; the rest was asked for, which is no surprise
  wanted.insert(wanted.end(), config.wanted.begin(), config.wanted.end());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    AddedToken& token = wanted[i];
    const auto [found, is_new] = ids.emplace(token.content, static_cast<std::int64_t>(ids.size()));
    if (is_new && i < num_named) {
      log_warning(fmt::format("{}: the special token '{}' is not in the vocabulary; it gets the new id {}", where,
                              token.content, found->second));
    }
    if (contains(added, token.content)) continue;
    token.id = static_cast<TokenId>(found->second);
    added.push_back(std::move(token));
  }
}

void mark_specials(const TokenizerConfig& config, std::vector<AddedToken>& added) {
  std::set<std::string> special;
  for (const auto& role : config.roles.values) {
    if (role) special.insert(role->content);
  }
  for (const AddedToken& token : config.others) special.insert(token.content);
  for (const AddedToken& token : config.wanted) {
    if (token.special) special.insert(token.content);
  }
  for (AddedToken& token : added) token.special = token.special || special.contains(token.content);
}

// The ids of the model and of the added tokens together.
std::unordered_map<std::string, std::int64_t> all_ids(const ByteBpeParts& parts) {
  std::unordered_map<std::string, std::int64_t> ids(parts.model_vocabulary.begin(), parts.model_vocabulary.end());
  for (const AddedToken& token : parts.added) {
    const auto [found, is_new] = ids.emplace(token.content, token.id);
    if (is_new || found->second == std::int64_t{token.id}) continue;
    throw DataError(fmt::format("{}: the added token '{}' has id {} but id {} elsewhere; it needs one.",
                                parts.vocabulary_where, token.content, token.id, found->second));
  }
  return ids;
}

void add_merges(const ByteBpeParts& parts, ByteBpeData& data) {
  const auto require = [&](const std::string& token, std::size_t rank, std::string_view role) {
    const auto id = data.vocabulary.find(token);
    if (id && data.in_model[*id]) return *id;
    const auto& [left, right] = parts.merges[rank];
    throw DataError(
        fmt::format("{}: merge {} ('{}' with '{}'): {} '{}' is not in the vocabulary of {}. Are the "
                    "files from the same tokenizer?",
                    parts.merges_where, rank + 1, left, right, role, token, parts.vocabulary_where));
  };
  data.merges.reserve(parts.merges.size());
  for (std::size_t rank = 0; rank < parts.merges.size(); ++rank) {
    const auto& [left, right] = parts.merges[rank];
    data.merges.push_back({require(left, rank, "the token"), require(right, rank, "the token"),
                           require(left + right, rank, "the product")});
  }
}

}  // namespace

void assemble_byte_bpe(ByteBpeParts parts, ByteBpeData& data) {
  auto ids = all_ids(parts);
  default_roles(ids, parts.config);
  add_missing_tokens(parts.config, ids, parts.vocabulary_where, parts.added);
  mark_specials(parts.config, parts.added);

  data.vocabulary = Vocabulary::from_entries({ids.begin(), ids.end()}, parts.vocabulary_where);
  data.in_model.assign(data.vocabulary.size(), false);
  for (const auto& [token, id] : parts.model_vocabulary) data.in_model[static_cast<std::size_t>(id)] = true;
  add_merges(parts, data);

  data.added = std::move(parts.added);
  std::sort(data.added.begin(), data.added.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  for (const auto& [role, key] : kRoles) {
    if (parts.config.roles[role]) data.roles[role] = data.vocabulary.find(parts.config.roles[role]->content);
  }
  data.add_prefix_space = parts.config.add_prefix_space.value_or(data.add_prefix_space);
  data.clean_up = parts.config.clean_up_spaces(true);
  data.model_max_length = parts.config.model_max_length;
}

}  // namespace capstan::text
