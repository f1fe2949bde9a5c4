// SentencePiece as a pipeline of Hugging Face tokenizers: the same normalisation, pieces, scores and merges.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "capstan/core/error.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/unicode.h"

namespace capstan::text {
namespace {

using nlohmann::ordered_json;

constexpr const char* kSpaceMark = "\xE2\x96\x81";  // U+2581, which stands for a space in pieces

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63]);
    }
  }
  return text;
}

ordered_json replace(const char* kind, const char* pattern, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
}

// Everything is done to the whole text, as SentencePiece does it: with a pre-tokenizer in place of the last two
// steps, a text that starts with the space mark and the empty text would differ.
ordered_json normalizer_json(const SentencePieceModel& model) {
  ordered_json steps = ordered_json::array();
  if (!model.charsmap.empty()) {
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", base64(model.charsmap)}});
  }
  if (model.remove_extra_spaces) {
    // Both ends of the text in a form that Rust's and JavaScript's regular expressions read alike.
    steps.push_back(replace("Regex", R"((?<![\s\S]) +| +(?![\s\S]))", ""));
    steps.push_back(replace("Regex", " {2,}", " "));
  }
  if (model.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
  steps.push_back(replace("String", " ", kSpaceMark));
  // A space mark that was in the text itself counts as a space at the end, and there only.
  if (model.remove_extra_spaces) steps.push_back(replace("Regex", "(\xE2\x96\x81)+(?![\\s\\S])", ""));
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

ordered_json decoder_json(const SentencePieceModel& model) {
  ordered_json steps = ordered_json::array({replace("String", kSpaceMark, " ")});
  if (model.byte_fallback) steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (model.add_dummy_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

ordered_json unk_id(const SentencePieceModel& model) {
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type == PieceType::kUnknown) return id;
  }
  return nullptr;
}

ordered_json unigram_json(const SentencePieceModel& model) {
  float best = std::numeric_limits<float>::lowest();
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::kNormal) best = std::max(best, piece.score);
  }
  ordered_json vocabulary = ordered_json::array();
  for (const auto& piece : model.pieces) {
    // SentencePiece gives user-defined symbols this bonus while it searches, so that they always win.
    const bool user_defined = piece.type == PieceType::kUserDefined;
    const double score = user_defined ? static_cast<double>(piece.text.size()) * best - 0.1 : piece.score;
    vocabulary.push_back({piece.text, score});
  }
  return {{"type", "Unigram"},
          {"unk_id", unk_id(model)},
          {"vocab", std::move(vocabulary)},
          {"byte_fallback", model.byte_fallback}};
}

bool is_longer_than_a_character(std::string_view text) { return code_point_at(text, 0).size < text.size(); }

std::vector<std::string_view> user_defined_symbols(const SentencePieceModel& model) {
  std::vector<std::string_view> symbols;
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined) symbols.push_back(piece.text);
  }
  return symbols;
}

// Whether a BPE model has user-defined symbols that its merges cannot make. A tokenizer.json then sets such symbols
// apart before merging and takes what is a token as a whole for that token.
bool sets_symbols_apart(const SentencePieceModel& model) {
  if (model.type != SentencePieceModelType::kBpe) return false;
  const auto symbols = user_defined_symbols(model);
  return std::any_of(symbols.begin(), symbols.end(), is_longer_than_a_character);
}

// A regular expression for any of the symbols, the longest that fits, for Rust and JavaScript alike.
std::string any_symbol(const SentencePieceModel& model) {
  static constexpr std::string_view kSyntax = "^$\\.*+?()[]{}|/";
  auto symbols = user_defined_symbols(model);
  std::stable_sort(symbols.begin(), symbols.end(),
                   [](std::string_view a, std::string_view b) { return a.size() > b.size(); });
  std::string pattern;
  for (const std::string_view symbol : symbols) {
    if (!pattern.empty()) pattern += '|';
    for (const char c : symbol) {
      if (kSyntax.find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern;
}

ordered_json pre_tokenizer_json(const SentencePieceModel& model) {
  if (!sets_symbols_apart(model)) return nullptr;
  return {{"type", "Split"}, {"pattern", {{"Regex", any_symbol(model)}}}, {"behavior", "Isolated"}, {"invert", false}};
}

// SentencePiece merges the two neighbours whose union scores best; as a list, that is every division of every piece
// into two others, best piece first.
ordered_json merges_json(const SentencePieceModel& model, const std::unordered_map<std::string_view, int>& ids) {
  std::vector<std::tuple<float, int, int>> merges;  // score of the product (negated), left id, right id
  for (const auto& piece : model.pieces) {
    if (piece.type != PieceType::kNormal) continue;
    const std::string_view text = piece.text;
    for (std::size_t size = 1; size < text.size(); ++size) {
      const auto left = ids.find(text.substr(0, size));
      const auto right = ids.find(text.substr(size));
      if (left != ids.end() && right != ids.end()) merges.emplace_back(-piece.score, left->second, right->second);
    }
  }
  std::sort(merges.begin(), merges.end());
  ordered_json list = ordered_json::array();
  for (const auto& [score, left, right] : merges) {
    list.push_back(
        {model.pieces[static_cast<std::size_t>(left)].text, model.pieces[static_cast<std::size_t>(right)].text});
  }
  return list;
}

ordered_json bpe_json(const SentencePieceModel& model) {
  std::unordered_map<std::string_view, int> ids;
  ordered_json vocabulary = ordered_json::object();
  auto& entries = vocabulary.get_ref<ordered_json::object_t&>();
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    ids.emplace(model.pieces[id].text, static_cast<int>(id));
    entries.emplace_back(model.pieces[id].text, id);
  }
  ordered_json unk = unk_id(model);
  if (!unk.is_null()) unk = model.pieces[unk.get<std::size_t>()].text;
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", std::move(unk)},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", model.byte_fallback},
          {"ignore_merges", sets_symbols_apart(model)},
          {"vocab", std::move(vocabulary)},
          {"merges", merges_json(model, ids)}};
}

ordered_json model_json(const SentencePieceModel& model) {
  if (model.space_as_suffix || !model.escape_spaces) {
    throw UnsupportedError(
        "SentencePiece models that mark spaces at the end of words, or not at all, cannot be "
        "written as tokenizer.json.");
  }
  switch (model.type) {
    case SentencePieceModelType::kUnigram:
      return unigram_json(model);
    case SentencePieceModelType::kBpe:
      return bpe_json(model);
    default:
      throw UnsupportedError(
          "SentencePiece models of words or characters cannot be written as tokenizer.json; "
          "train a unigram or BPE model.");
  }
}

}  // namespace

ordered_json sentencepiece_tokenizer_json(const SentencePieceModel& model) {
  ordered_json added = ordered_json::array();
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    if (piece.type != PieceType::kControl && piece.type != PieceType::kUnknown) continue;
    added.push_back({{"id", id},
                     {"content", piece.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", normalizer_json(model)},
          {"pre_tokenizer", pre_tokenizer_json(model)},
          {"post_processor", nullptr},
          {"decoder", decoder_json(model)},
          {"model", model_json(model)}};
}

}  // namespace capstan::text
