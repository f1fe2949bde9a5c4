// Tokenizers learned from captions. The same captions and options give the same files on every machine.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct SentencePieceTrainingConfig {
  int vocab_size = 8000;
  std::string model_type = "unigram";
  double character_coverage = 0.9995;
  bool byte_fallback = false;
  std::vector<std::string> user_defined_symbols;
  bool add_dummy_prefix = true;
  std::string normalization = "nmt_nfkc";

  template <class Visitor>
  void fields(Visitor& v) {
    v("vocab_size", vocab_size, "Number of pieces at most; fewer where the captions do not yield them.", at_least(8));
    v("model_type", model_type, "How pieces are chosen.", one_of({"unigram", "bpe"}));
    v("character_coverage", character_coverage, "Share of the characters of the captions that become pieces.",
      between(0.98, 1));
    v("byte_fallback", byte_fallback, "Spell unknown characters as bytes (needs 256 more pieces).");
    v("user_defined_symbols", user_defined_symbols, "Texts that are always one piece (unigram only).");
    v("add_dummy_prefix", add_dummy_prefix, "Treat the first word like those after a space.");
    v("normalization", normalization, "Unicode rules applied before anything else.",
      one_of({"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"}));
  }
};

// Trains, writes a complete tokenizer folder to `out_dir` and opens it. Ids: pad 0, unknown 1, begin 2, end 3.
// ConfigError when the captions do not fit the options (vocabulary too small for the characters), DataError when
// there is no text.
std::shared_ptr<const Tokenizer> train_sentencepiece(const std::vector<std::string>& captions,
                                                     const SentencePieceTrainingConfig& config,
                                                     const std::filesystem::path& out_dir);

struct ByteBpeTrainingConfig {
  int vocab_size = 8192;
  int min_frequency = 2;
  std::vector<std::string> special_tokens = {"<|endoftext|>"};

  template <class Visitor>
  void fields(Visitor& v) {
    v("vocab_size", vocab_size, "Number of tokens at most, with 256 bytes and the special tokens.", at_least(257));
    v("min_frequency", min_frequency, "How often a pair must occur to become a token.", at_least(1));
    v("special_tokens", special_tokens, "Tokens with the first ids; the first of them begins, ends and pads captions.");
  }
};

// Trains GPT-2's byte-level BPE, writes a complete tokenizer folder to `out_dir` and opens it. The merges are those
// of Hugging Face's BpeTrainer with the byte alphabet. ConfigError when `vocab_size` is too small or there is no
// special token; too few captions give a smaller vocabulary.
std::shared_ptr<const Tokenizer> train_byte_bpe(const std::vector<std::string>& captions,
                                                const ByteBpeTrainingConfig& config,
                                                const std::filesystem::path& out_dir);

}  // namespace capstan
