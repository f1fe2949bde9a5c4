// Byte-level BPE training as in Sennrich et al. (2016) on counted words, in the order of Hugging Face's BpeTrainer:
// the most frequent pair first, of equals the one with the smaller ids.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <queue>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/text/train.h"
#include "text/byte_alphabet.h"
#include "text/byte_bpe.h"
#include "text/gpt2_split.h"

namespace capstan {
namespace text {
namespace {

struct Word {
  std::vector<TokenId> symbols;
  std::int64_t count;
};

using PairKey = std::uint64_t;  // pack_pair

// A pair that may be merged next, with the words it was seen in since it was last offered.
struct Candidate {
  std::int64_t count;
  PairKey pair;
  std::vector<std::uint32_t> words;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class BpeTrainer {
 public:
  // `tokens` holds the special tokens and the 256 bytes; `byte_ids` says where each byte is.
  BpeTrainer(const std::vector<std::string>& captions, std::vector<std::string> tokens,
             const std::array<TokenId, 256>& byte_ids);
  void train(std::size_t vocab_size, std::int64_t min_frequency);

  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;

 private:
  using PlacesByPair = std::unordered_map<PairKey, std::vector<std::uint32_t>>;

  void count_pair(TokenId left, TokenId right, std::int64_t change, std::uint32_t word, PlacesByPair& places);
  void offer(PlacesByPair places);
  void merge_in_word(std::uint32_t word, PairKey pair, TokenId product, PlacesByPair& places);

  std::vector<Word> words_;
  std::unordered_map<std::string, TokenId> ids_;
  std::unordered_map<PairKey, std::int64_t> pair_counts_;
  std::priority_queue<Candidate> queue_;
};

std::vector<Word> count_words(const std::vector<std::string>& captions, const std::array<TokenId, 256>& byte_ids) {
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (const std::string_view caption : captions) {
    for (std::size_t begin = 0; begin < caption.size();) {
      const std::size_t end = gpt2_word_end(caption, begin);
      ++counts[caption.substr(begin, end - begin)];
      begin = end;
    }
  }
  std::vector<std::pair<std::string_view, std::int64_t>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<Word> words;
  for (const auto& [text, count] : sorted) {
    Word& word = words.emplace_back(Word{{}, count});
    for (const char byte : text) word.symbols.push_back(byte_ids[static_cast<unsigned char>(byte)]);
  }
  return words;
}

BpeTrainer::BpeTrainer(const std::vector<std::string>& captions, std::vector<std::string> initial_tokens,
                       const std::array<TokenId, 256>& byte_ids)
    : tokens(std::move(initial_tokens)), words_(count_words(captions, byte_ids)) {
  for (std::size_t id = 0; id < tokens.size(); ++id) ids_.emplace(tokens[id], static_cast<TokenId>(id));
  PlacesByPair places;
  for (std::uint32_t word = 0; word < words_.size(); ++word) {
    const auto& symbols = words_[word].symbols;
    for (std::size_t i = 1; i < symbols.size(); ++i) {
      count_pair(symbols[i - 1], symbols[i], words_[word].count, word, places);
    }
  }
  offer(std::move(places));
}

void BpeTrainer::count_pair(TokenId left, TokenId right, std::int64_t change, std::uint32_t word,
                            PlacesByPair& places) {
  const PairKey pair = pack_pair(left, right);
  pair_counts_[pair] += change;
  if (change < 0) return;
  auto& words = places[pair];
  if (words.empty() || words.back() != word) words.push_back(word);
}

void BpeTrainer::offer(PlacesByPair places) {
  for (auto& [pair, words] : places) {
    const std::int64_t count = pair_counts_[pair];
    if (count > 0) queue_.push({count, pair, std::move(words)});
  }
}

void BpeTrainer::merge_in_word(std::uint32_t word, PairKey pair, TokenId product, PlacesByPair& places) {
  auto& symbols = words_[word].symbols;
  const std::int64_t count = words_[word].count;
  std::size_t kept = 0;  // symbols[0 .. kept) are final
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (i + 1 == symbols.size() || pack_pair(symbols[i], symbols[i + 1]) != pair) {
      symbols[kept++] = symbols[i];
      continue;
    }
    const TokenId left = symbols[i], right = symbols[i + 1];
    if (kept > 0) {
      count_pair(symbols[kept - 1], left, -count, word, places);
      count_pair(symbols[kept - 1], product, count, word, places);
    }
    if (i + 2 < symbols.size()) {
      count_pair(right, symbols[i + 2], -count, word, places);
      count_pair(product, symbols[i + 2], count, word, places);
    }
    symbols[kept++] = product;
    ++i;
  }
  symbols.resize(kept);
}

void BpeTrainer::train(std::size_t vocab_size, std::int64_t min_frequency) {
  while (tokens.size() < vocab_size && !queue_.empty()) {
    Candidate best = queue_.top();
    queue_.pop();
    const std::int64_t count = pair_counts_[best.pair];
    if (count != best.count) {  // other merges took some of its places
      best.count = count;
      if (count > 0) queue_.push(std::move(best));
      continue;
    }
    if (count < min_frequency) return;
    const std::string& left = tokens[best.pair >> 32];
    const std::string& right = tokens[best.pair & 0xFFFFFFFF];
    const auto [product, is_new] = ids_.emplace(left + right, static_cast<TokenId>(tokens.size()));
    merges.emplace_back(left, right);
    if (is_new) tokens.push_back(product->first);
    PlacesByPair places;
    for (const std::uint32_t word : best.words) merge_in_word(word, best.pair, product->second, places);
    offer(std::move(places));
  }
}

// Every caption as its first word is learned: like one after a space.
std::vector<std::string> with_prefix_space(std::vector<std::string> captions) {
  for (std::string& caption : captions) {
    if (!caption.empty() && caption.front() != ' ') caption.insert(0, 1, ' ');
  }
  return captions;
}

}  // namespace
}  // namespace text

std::shared_ptr<const Tokenizer> train_byte_bpe(const std::vector<std::string>& captions,
                                                const ByteBpeTrainingConfig& config,
                                                const std::filesystem::path& out_dir) {
  if (config.special_tokens.empty()) {
    throw ConfigError("special_tokens is empty; a captioner needs one token that ends a caption: [<|endoftext|>].");
  }
  const std::size_t num_fixed = 256 + config.special_tokens.size();
  if (config.vocab_size < 0 || static_cast<std::size_t>(config.vocab_size) < num_fixed) {
    throw ConfigError(fmt::format("vocab_size is {}; 256 bytes and {} special tokens need at least {}.",
                                  config.vocab_size, config.special_tokens.size(), num_fixed));
  }
  std::vector<std::string> tokens = config.special_tokens;
  std::map<char32_t, unsigned char> alphabet;  // ids follow the characters, as in Hugging Face's trainer
  for (int byte = 0; byte < 256; ++byte) {
    alphabet.emplace(text::byte_to_char(static_cast<unsigned char>(byte)), static_cast<unsigned char>(byte));
  }
  std::array<text::TokenId, 256> byte_ids{};
  for (const auto& [character, byte] : alphabet) {
    byte_ids[byte] = static_cast<text::TokenId>(tokens.size());
    tokens.push_back(text::spell_bytes(std::string(1, static_cast<char>(byte))));
  }
  text::BpeTrainer trainer(config.add_prefix_space ? text::with_prefix_space(captions) : captions, std::move(tokens),
                           byte_ids);
  trainer.train(static_cast<std::size_t>(config.vocab_size), std::max(1, config.min_frequency));

  text::ByteBpeParts parts;
  parts.vocabulary_where = parts.merges_where = "the trained vocabulary";
  for (const std::string& token : trainer.tokens) {
    parts.model_vocabulary.emplace_back(token, static_cast<std::int64_t>(parts.model_vocabulary.size()));
  }
  parts.merges = std::move(trainer.merges);
  for (std::size_t id = 0; id < config.special_tokens.size(); ++id) {
    parts.added.push_back({.id = static_cast<text::TokenId>(id), .content = config.special_tokens[id]});
  }
  parts.config.found = true;
  parts.config.add_prefix_space = config.add_prefix_space;
  for (const auto& [role, key] : text::kRoles) parts.config.roles[role] = parts.added.front();
  text::ByteBpeData data;
  text::assemble_byte_bpe(std::move(parts), data);
  const auto tokenizer = text::make_byte_bpe(std::move(data));
  tokenizer->save(out_dir);
  return tokenizer;
}

}  // namespace capstan
