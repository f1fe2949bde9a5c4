// tokenizer_config.json and special_tokens_map.json: what a folder says about its tokenizer beside the vocabulary.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capstan/text/tokenizer.h"
#include "text/added_tokens.h"

namespace capstan::text {

// The four roles this project uses, in the order in which transformers adds missing ones to a vocabulary.
enum class Role { kBos, kEos, kUnk, kPad };
inline constexpr std::array<std::pair<Role, std::string_view>, 4> kRoles = {
    {{Role::kBos, "bos_token"}, {Role::kEos, "eos_token"}, {Role::kUnk, "unk_token"}, {Role::kPad, "pad_token"}}};

// A value for each role.
template <class T>
struct PerRole {
  std::array<std::optional<T>, kRoles.size()> values;
  std::optional<T>& operator[](Role role) { return values[static_cast<std::size_t>(role)]; }
  const std::optional<T>& operator[](Role role) const { return values[static_cast<std::size_t>(role)]; }
};
using RoleIds = PerRole<TokenId>;

inline constexpr std::int64_t kDefaultMaxLength = 1024;  // GPT-2's context, in tokens

struct TokenizerConfig {
  bool found = false;              // at least one of the two files is there
  PerRole<AddedToken> roles;       // ids are not set
  std::vector<AddedToken> added;   // added_tokens_decoder, ids set
  std::vector<AddedToken> others;  // additional_special_tokens, ids not set
  std::vector<AddedToken> wanted;  // named by TokenizerOptions, ids not set
  std::optional<bool> add_prefix_space;
  bool clean_up = false;
  bool clean_up_bpe = false;  // transformers 5 leaves the text of a BPE model alone without this second word
  std::int64_t model_max_length = kDefaultMaxLength;

  bool clean_up_spaces(bool is_bpe) const { return clean_up && (clean_up_bpe || !is_bpe); }
  void apply(const TokenizerOptions& options);
};

// Reads both files of `directory` where they are present. DataError names the file and key that is wrong.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& directory);

// One entry of tokenizer.json's added_tokens or of added_tokens_decoder.
AddedToken parse_added_token(const nlohmann::json& value, const std::string& where);

// Writes both files. `tokens` are the tokens by role; `extra` adds keys to tokenizer_config.json.
void write_tokenizer_config(const std::filesystem::path& directory, std::string_view tokenizer_class,
                            const PerRole<std::string>& tokens, std::int64_t model_max_length, bool clean_up,
                            const nlohmann::ordered_json& extra);

}  // namespace capstan::text
