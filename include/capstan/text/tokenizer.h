// Text to ids and back, by the rules and files of Hugging Face tokenizers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

// Immutable after loading; every method may be called from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text` without special tokens added around it.
  virtual std::vector<std::int64_t> encode(std::string_view text) const = 0;
  // Text of `ids`. DataError for an id outside the vocabulary.
  virtual std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens = true) const = 0;

  virtual std::int64_t vocab_size() const = 0;
  virtual std::optional<std::int64_t> bos_token_id() const = 0;
  virtual std::optional<std::int64_t> eos_token_id() const = 0;
  virtual std::optional<std::int64_t> pad_token_id() const = 0;
  virtual std::optional<std::int64_t> unk_token_id() const = 0;
  virtual std::optional<std::int64_t> token_to_id(std::string_view token) const = 0;
  virtual std::string id_to_token(std::int64_t id) const = 0;
  virtual std::string kind() const = 0;  // the name in tokenizers.def

  // Writes the Hugging Face files (tokenizer.json, tokenizer_config.json, special_tokens_map.json and the
  // kind's own) so that transformers and Transformers.js load the folder with the same ids.
  virtual void save(const std::filesystem::path& directory) const = 0;
};

// Opens a folder (or a .model file, or tokenizer.json) by the files it holds. DataError says what was looked for.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);

}  // namespace capstan
