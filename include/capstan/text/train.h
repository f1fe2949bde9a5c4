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

// The library's own options by its own names (`normalization` is normalization_rule_name); its manual explains them.
struct SentencePieceTrainingConfig {
  int vocab_size = 8000;
  std::string model_type = "unigram";
  double character_coverage = 0.9995;
  bool byte_fallback = false;
  std::vector<std::string> user_defined_symbols;
  std::vector<std::string> control_symbols;
  std::string required_chars;
  bool hard_vocab_limit = false;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  std::string normalization = "nmt_nfkc";
  std::string normalization_rule_tsv;
  bool split_by_whitespace = true;
  bool split_by_unicode_script = true;
  bool split_by_number = true;
  bool split_digits = false;
  bool allow_whitespace_only_pieces = false;
  int max_sentencepiece_length = 16;
  int max_sentence_length = 4192;
  std::int64_t input_sentence_size = 0;
  bool shuffle_input_sentence = true;
  int seed_sentencepiece_size = 1'000'000;
  double shrinking_factor = 0.75;
  int num_sub_iterations = 2;
  bool train_extremely_large_corpus = false;
  int num_threads = 1;
  int pad_id = 0;
  int unk_id = 1;
  int bos_id = 2;
  int eos_id = 3;
  std::string pad_piece = "<pad>";
  std::string unk_piece = "<unk>";
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string unk_surface = " \xE2\x81\x87 ";

  template <class Visitor>
  void fields(Visitor& v) {
    v("vocab_size", vocab_size, "Number of pieces at most; fewer where the captions do not yield them.", at_least(8));
    v("model_type", model_type, "How pieces are chosen.", one_of({"unigram", "bpe"}));
    v("character_coverage", character_coverage, "Share of the characters of the captions that become pieces.",
      between(0.98, 1));
    v("byte_fallback", byte_fallback, "Spell unknown characters as bytes (needs 256 more pieces).");
    v("user_defined_symbols", user_defined_symbols, "Texts that are always one piece.");
    v("control_symbols", control_symbols, "Pieces that no text becomes, for use by their ids.");
    v("required_chars", required_chars, "Characters that become pieces however rare they are (unigram only).");
    v("hard_vocab_limit", hard_vocab_limit, "Refuse captions that do not yield vocab_size pieces.");
    v("add_dummy_prefix", add_dummy_prefix, "Treat the first word like those after a space.");
    v("remove_extra_whitespaces", remove_extra_whitespaces, "Drop spaces at both ends and repeated ones.");
    v("normalization", normalization, "Unicode rules applied before anything else.",
      one_of({"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"}));
    v("normalization_rule_tsv", normalization_rule_tsv, "File with rules of your own instead.");
    v("split_by_whitespace", split_by_whitespace, "No piece goes beyond a word.");
    v("split_by_unicode_script", split_by_unicode_script, "No piece mixes scripts.");
    v("split_by_number", split_by_number, "No piece mixes digits with letters.");
    v("split_digits", split_digits, "Every digit is a piece of its own.");
    v("allow_whitespace_only_pieces", allow_whitespace_only_pieces, "Rows of spaces may become pieces.");
    v("max_sentencepiece_length", max_sentencepiece_length, "Longest piece, in characters.", between(1, 512));
    v("max_sentence_length", max_sentence_length, "Longest caption that is learned from, in bytes.", at_least(10));
    v("input_sentence_size", input_sentence_size, "Learn from so many captions only (over 100); 0 means all.",
      at_least(0));
    v("shuffle_input_sentence", shuffle_input_sentence, "Draw those captions at random instead of the first ones.");
    v("seed_sentencepiece_size", seed_sentencepiece_size, "Candidates that unigram starts from.", at_least(1));
    v("shrinking_factor", shrinking_factor, "Share of the candidates that unigram keeps in each round.",
      between(0.1, 0.95));
    v("num_sub_iterations", num_sub_iterations, "EM steps of unigram in each round.", between(1, 10));
    v("train_extremely_large_corpus", train_extremely_large_corpus, "Count in 64 bits, for unigram on over 2 GB.");
    v("num_threads", num_threads, "Threads; the last digits of unigram's scores depend on it.", between(1, 1024));
    v("pad_id", pad_id, "Id of padding; -1 for none.", at_least(-1));
    v("unk_id", unk_id, "Id of unknown text.", at_least(0));
    v("bos_id", bos_id, "Id of the beginning; -1 for none.", at_least(-1));
    v("eos_id", eos_id, "Id of the end of a caption.", at_least(0));
    v("pad_piece", pad_piece, "How padding is spelled.");
    v("unk_piece", unk_piece, "How unknown text is spelled.");
    v("bos_piece", bos_piece, "How the beginning is spelled.");
    v("eos_piece", eos_piece, "How the end is spelled.");
    v("unk_surface", unk_surface, "What decoding shows for unknown text.");
  }
  void check(std::vector<std::string>& problems) const;
};

// Trains, writes a complete tokenizer folder to `out_dir` and opens it. ConfigError when the options contradict each
// other or do not fit the captions (vocabulary too small for the characters), DataError when there is no text.
std::shared_ptr<const Tokenizer> train_sentencepiece(const std::vector<std::string>& captions,
                                                     const SentencePieceTrainingConfig& config,
                                                     const std::filesystem::path& out_dir);

struct ByteBpeTrainingConfig {
  int vocab_size = 8192;
  int min_frequency = 2;
  bool add_prefix_space = false;
  std::vector<std::string> special_tokens = {"<|endoftext|>"};

  template <class Visitor>
  void fields(Visitor& v) {
    v("vocab_size", vocab_size, "Number of tokens at most, with 256 bytes and the special tokens.", at_least(257));
    v("min_frequency", min_frequency, "How often a pair must occur to become a token.", at_least(1));
    v("add_prefix_space", add_prefix_space, "Treat the first word like those after a space.");
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
