// SentencePiece training by the library's own trainer; two runs give the same model.
#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <future>
#include <map>
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

std::string option_text(bool value) { return value ? "true" : "false"; }
std::string option_text(int value) { return std::to_string(value); }
std::string option_text(std::int64_t value) { return std::to_string(value); }
std::string option_text(double value) { return fmt::format("{}", value); }
std::string option_text(const std::string& value) { return value; }
std::string option_text(const std::vector<std::string>& symbols) {
  std::vector<std::string> cells;
  std::transform(symbols.begin(), symbols.end(), std::back_inserter(cells), quoted);
  return join(cells, ",");
}

// The fields of a configuration as the library's options, by their names.
struct OptionCollector {
  std::unordered_map<std::string, std::string> options;
  template <class T, class... Rest>
  void operator()(const char* key, const T& value, const Rest&...) {
    std::string text = option_text(value);
    if (!text.empty()) options.emplace(key, std::move(text));
  }
};

std::unordered_map<std::string, std::string> trainer_options(SentencePieceTrainingConfig config) {
  OptionCollector collector;
  config.fields(collector);
  auto options = std::move(collector.options);
  const std::string normalization = options.extract("normalization").mapped();
  if (config.normalization_rule_tsv.empty()) options.emplace("normalization_rule_name", normalization);
  options.emplace("minloglevel", "2");
  return options;
}

void require_consistent(const SentencePieceTrainingConfig& config) {
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty()) throw ConfigError("SentencePiece training: " + join(problems, "; "));
}

// The serialised model.
std::string train_model(const std::vector<std::string>& captions, const SentencePieceTrainingConfig& config) {
  sentencepiece::SetRandomGeneratorSeed(kSeed);
  CaptionIterator iterator(captions);
  std::string model;
  // The library's generator is seeded once in each thread, so every training gets a thread of its own.
  const auto status = std::async(std::launch::async, [&] {
                        return sentencepiece::SentencePieceTrainer::Train(trainer_options(config), &iterator, &model);
                      }).get();
  if (!status.ok()) {
    throw ConfigError(fmt::format("SentencePiece cannot train a {} model of {} pieces on {} captions: {}",
                                  config.model_type, config.vocab_size, captions.size(), status.ToString()));
  }
  return model;
}

}  // namespace

void SentencePieceTrainingConfig::check(std::vector<std::string>& problems) const {
  if (unk_id < 0) problems.push_back("unk_id is below 0, but a model needs a piece for unknown text");
  if (eos_id < 0) problems.push_back("eos_id is below 0, but a captioner needs a piece that ends a caption");
  const std::pair<int, const char*> ids[] = {
      {pad_id, "pad_id"}, {unk_id, "unk_id"}, {bos_id, "bos_id"}, {eos_id, "eos_id"}};
  std::map<int, std::string> taken;
  for (const auto& [id, key] : ids) {
    const auto [found, is_new] = taken.emplace(id, key);
    if (id >= 0 && !is_new) problems.push_back(fmt::format("{} and {} are both {}", found->second, key, id));
  }
  if (model_type == "bpe" && !required_chars.empty()) {
    // The library's BPE trainer ends the whole program where one of them does not occur.
    problems.push_back("required_chars need model_type unigram; for bpe name them in user_defined_symbols");
  }
  if (!normalization_rule_tsv.empty() && !fs::exists(normalization_rule_tsv)) {
    problems.push_back(fmt::format("normalization_rule_tsv: there is no file {}", normalization_rule_tsv));
  }
}

std::shared_ptr<const Tokenizer> train_sentencepiece(const std::vector<std::string>& captions,
                                                     const SentencePieceTrainingConfig& config,
                                                     const fs::path& out_dir) {
  require_consistent(config);
  const bool has_text =
      std::any_of(captions.begin(), captions.end(), [](const std::string& caption) { return !trim(caption).empty(); });
  if (!has_text) throw DataError("there are no captions with text to train a SentencePiece tokenizer on.");
  const TempDir temporary;
  const fs::path model_path = temporary.path() / "tokenizer.model";
  write_file_atomic(model_path, train_model(captions, config));
  text::load_sentencepiece(model_path, {})->save(out_dir);
  return text::load_sentencepiece(out_dir, {});
}

}  // namespace capstan
