// SentencePiece training with everything fixed that could make two runs differ.
#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/text/train.h"
#include "text/sentencepiece_tokenizer.h"

namespace capstan {
namespace {

constexpr unsigned kSeed = 0;

class CaptionIterator final : public sentencepiece::SentenceIterator {
 public:
  explicit CaptionIterator(const std::vector<std::string>& captions) : captions_(captions) {}
  bool done() const override { return next_ >= captions_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return captions_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& captions_;
  std::size_t next_ = 0;
};

std::string quoted(const std::string& symbol) {
  std::string text = "\"";
  for (const char c : symbol) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

std::unordered_map<std::string, std::string> trainer_options(const SentencePieceTrainingConfig& config) {
  const auto yes_no = [](bool value) { return std::string(value ? "true" : "false"); };
  std::unordered_map<std::string, std::string> options = {
      {"vocab_size", std::to_string(config.vocab_size)},
      {"model_type", config.model_type},
      {"character_coverage", fmt::format("{}", config.character_coverage)},
      {"byte_fallback", yes_no(config.byte_fallback)},
      {"add_dummy_prefix", yes_no(config.add_dummy_prefix)},
      {"normalization_rule_name", config.normalization},
      {"pad_id", "0"},
      {"unk_id", "1"},
      {"bos_id", "2"},
      {"eos_id", "3"},
      {"hard_vocab_limit", "false"},
      {"num_threads", "1"},  // sums of floats depend on how the work is divided
      {"shuffle_input_sentence", "false"},
      {"minloglevel", "2"}};
  if (!config.user_defined_symbols.empty()) {
    std::vector<std::string> symbols;
    std::transform(config.user_defined_symbols.begin(), config.user_defined_symbols.end(), std::back_inserter(symbols),
                   quoted);
    options.emplace("user_defined_symbols", join(symbols, ","));
  }
  return options;
}

}  // namespace

std::shared_ptr<const Tokenizer> train_sentencepiece(const std::vector<std::string>& captions,
                                                     const SentencePieceTrainingConfig& config,
                                                     const fs::path& out_dir) {
  const bool has_text =
      std::any_of(captions.begin(), captions.end(), [](const std::string& caption) { return !trim(caption).empty(); });
  if (!has_text) throw DataError("there are no captions with text to train a SentencePiece tokenizer on.");
  if (config.model_type == "bpe" && !config.user_defined_symbols.empty()) {
    throw ConfigError(
        "user_defined_symbols need model_type unigram; tokenizer.json cannot hold them in a BPE model of "
        "SentencePiece.");
  }
  sentencepiece::SetRandomGeneratorSeed(kSeed);
  CaptionIterator iterator(captions);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(trainer_options(config), &iterator, &model);
  if (!status.ok()) {
    throw ConfigError(fmt::format("SentencePiece cannot train a {} model of {} pieces on {} captions: {}",
                                  config.model_type, config.vocab_size, captions.size(), status.ToString()));
  }
  const TempDir temporary;
  const fs::path model_path = temporary.path() / "tokenizer.model";
  write_file_atomic(model_path, model);
  text::load_sentencepiece(model_path)->save(out_dir);
  return text::load_sentencepiece(out_dir);
}

}  // namespace capstan
