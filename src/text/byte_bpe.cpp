// The byte_bpe tokenizer: GPT-2's byte-level BPE with the ids of Hugging Face tokenizers.
#include "text/byte_bpe.h"

#include <array>
#include <functional>

#include "capstan/core/error.h"
#include "capstan/text/tokenizers.h"
#include "text/byte_alphabet.h"
#include "text/gpt2_split.h"
#include "text/merge_table.h"
#include "text/unicode.h"
#include "text/word_table.h"

namespace capstan {
namespace text {
namespace {

class ByteBpe final : public Tokenizer {
 public:
  explicit ByteBpe(ByteBpeData data);

  std::vector<std::int64_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const override;
  std::string decode_bytes(std::span<const std::int64_t> ids, bool skip_special_tokens) const override;

  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(data_.vocabulary.size()); }
  std::optional<std::int64_t> bos_token_id() const override { return data_.roles[Role::kBos]; }
  std::optional<std::int64_t> eos_token_id() const override { return data_.roles[Role::kEos]; }
  std::optional<std::int64_t> pad_token_id() const override { return data_.roles[Role::kPad]; }
  std::optional<std::int64_t> unk_token_id() const override { return data_.roles[Role::kUnk]; }
  std::optional<std::int64_t> token_to_id(std::string_view token) const override {
    return data_.vocabulary.find(token);
  }
  std::string id_to_token(std::int64_t id) const override {
    require_id(id, data_.vocabulary.size(), kind());
    return data_.vocabulary.token(static_cast<TokenId>(id));
  }
  std::string kind() const override { return "byte_bpe"; }
  void save(const std::filesystem::path& directory) const override { write_byte_bpe(data_, directory); }

 private:
  // `word_ids` is scratch space that words share.
  void encode_segment(std::string_view text, std::vector<TokenId>& word_ids, std::vector<std::int64_t>& ids) const;
  void encode_word(std::string_view word, std::vector<TokenId>& word_ids, std::vector<std::int64_t>& ids) const;
  // The tokens of the single bytes of `word`.
  void append_byte_ids(std::string_view word, std::vector<TokenId>& word_ids) const;
  void collect_whole_words();

  ByteBpeData data_;
  MergeTable merges_;
  AddedTokenSplitter splitter_;
  std::array<std::optional<TokenId>, 256> byte_ids_;
  std::vector<std::string> decoded_;  // by id: the bytes it stands for
  std::vector<bool> special_;         // by id
  WordTable whole_words_;             // words that become one token, which most words do
};

ByteBpe::ByteBpe(ByteBpeData data)
    : data_(std::move(data)),
      merges_(data_.merges.size()),
      splitter_(data_.added),
      special_(data_.vocabulary.size(), false),
      whole_words_(data_.vocabulary.size()) {
  for (std::size_t rank = 0; rank < data_.merges.size(); ++rank) {
    const auto& merge = data_.merges[rank];
    merges_.add(merge.left, merge.right, {static_cast<std::uint32_t>(rank), merge.product});
  }
  for (const AddedToken& token : data_.added) special_[token.id] = token.special;
  for (TokenId id = 0; id < data_.vocabulary.size(); ++id) {
    const std::string& token = data_.vocabulary.token(id);
    auto bytes = bytes_of_spelling(token);
    decoded_.push_back(bytes ? std::move(*bytes) : token);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = data_.vocabulary.find(spell_bytes(std::string(1, static_cast<char>(byte))));
    if (id && data_.in_model[*id]) byte_ids_[byte] = id;
  }
  collect_whole_words();
}

void ByteBpe::collect_whole_words() {
  std::vector<TokenId> ids;
  for (TokenId id = 0; id < data_.vocabulary.size(); ++id) {
    if (!data_.in_model[id] || decoded_[id].size() > WordTable::kMaxWordSize) continue;
    ids.clear();
    append_byte_ids(decoded_[id], ids);
    merges_.apply(ids);
    if (ids.size() == 1 && ids[0] == id) whole_words_.add(decoded_[id], id);
  }
}

void ByteBpe::append_byte_ids(std::string_view word, std::vector<TokenId>& word_ids) const {
  bool unknown_before = false;
  for (const char byte : word) {
    const auto& id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id) {
      word_ids.push_back(*id);
    } else if (data_.model_unk && !(data_.fuse_unk && unknown_before)) {
      word_ids.push_back(*data_.model_unk);
    }
    unknown_before = !id;
  }
}

void ByteBpe::encode_word(std::string_view word, std::vector<TokenId>& word_ids, std::vector<std::int64_t>& ids) const {
  if (const auto whole = whole_words_.find(word)) {
    ids.push_back(*whole);
    return;
  }
  word_ids.clear();
  append_byte_ids(word, word_ids);
  merges_.apply(word_ids);
  ids.insert(ids.end(), word_ids.begin(), word_ids.end());
}

void ByteBpe::encode_segment(std::string_view text, std::vector<TokenId>& word_ids,
                             std::vector<std::int64_t>& ids) const {
  std::string prefixed;
  if (data_.add_prefix_space && text.front() != ' ') {
    prefixed.append(1, ' ').append(text);
    text = prefixed;
  }
  if (!data_.use_regex) return encode_word(text, word_ids, ids);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = gpt2_word_end(text, begin);
    encode_word(text.substr(begin, end - begin), word_ids, ids);
    begin = end;
  }
}

std::vector<std::int64_t> ByteBpe::encode(std::string_view text) const {
  std::vector<std::int64_t> ids;
  std::vector<TokenId> word_ids;
  for (const Segment& segment : splitter_.split(text)) {
    if (segment.is_token) {
      ids.push_back(segment.id);
    } else {
      encode_segment(segment.text, word_ids, ids);
    }
  }
  return ids;
}

std::string ByteBpe::decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  std::string text = to_valid_utf8(decode_bytes(ids, skip_special_tokens));
  return data_.clean_up ? clean_up_tokenization(std::move(text)) : text;
}

std::string ByteBpe::decode_bytes(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int64_t id : ids) {
    require_id(id, decoded_.size(), kind());
    const auto index = static_cast<std::size_t>(id);
    if (!(skip_special_tokens && special_[index])) bytes += decoded_[index];
  }
  return bytes;
}

// A folder with a SentencePiece model belongs to that tokenizer, whose tokenizer.json is only a copy for others.
bool matches(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) return path.extension() == ".json";
  if (fs::exists(path / "tokenizer.model") || fs::exists(path / "spiece.model")) return false;
  return fs::exists(path / "tokenizer.json") || fs::exists(path / "vocab.json");
}

}  // namespace

std::shared_ptr<const Tokenizer> make_byte_bpe(ByteBpeData data) { return std::make_shared<ByteBpe>(std::move(data)); }

}  // namespace text

TokenizerEntry byte_bpe_tokenizer() {
  return {.name = "byte_bpe",
          .summary = "Byte-level BPE of GPT-2 and DistilGPT2",
          .files = "tokenizer.json, or vocab.json and merges.txt",
          .matches = text::matches,
          .load = [](const std::filesystem::path& path, const TokenizerOptions& options) {
            return text::make_byte_bpe(text::read_byte_bpe(path, options));
          }};
}

}  // namespace capstan
