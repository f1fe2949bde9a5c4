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

#include "capstan/core/fields.h"

namespace capstan {

// Immutable after loading; every method may be called from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text` without special tokens added around it.
  virtual std::vector<std::int64_t> encode(std::string_view text) const = 0;
  // Text of `ids`, always UTF-8: bytes that are none become U+FFFD. DataError for an id outside the vocabulary.
  virtual std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens = true) const = 0;
  // The bytes that `ids` stand for: of a byte-level tokenizer exactly those that were encoded, whatever they are, and
  // never cleaned up. Other kinds have nothing but their text.
  virtual std::string decode_bytes(std::span<const std::int64_t> ids, bool skip_special_tokens = true) const {
    return decode(ids, skip_special_tokens);
  }

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

// How a tokenizer is opened otherwise than its files say. It is saved as it was opened.
struct TokenizerOptions {
  std::optional<bool> add_prefix_space;
  std::optional<bool> clean_up_tokenization_spaces;
  std::vector<std::string> added_tokens;
  std::vector<std::string> special_tokens;

  template <class Visitor>
  void fields(Visitor& v) {
    v("add_prefix_space", add_prefix_space, "Treat the first word like those after a space (byte-level BPE).");
    v("clean_up_tokenization_spaces", clean_up_tokenization_spaces,
      "Remove spaces before punctuation and English contractions from decoded text.");
    v("added_tokens", added_tokens, "Texts that become one token each, with the next free ids (byte-level BPE).");
    v("special_tokens", special_tokens, "The same, left out of decoded text.");
  }
};

// Opens a folder (or a .model file, or tokenizer.json) by the files it holds. DataError says what was looked for,
// UnsupportedError which of the options this kind of tokenizer does not have.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path,
                                                const TokenizerOptions& options = {});

// `text` without the spaces that English does not have: "it 's a dog ." becomes "it's a dog.". As
// clean_up_tokenization_spaces in transformers.
std::string clean_up_tokenization(std::string text);

}  // namespace capstan
