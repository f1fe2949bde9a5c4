// The sentencepiece tokenizer: Google's library on the .model file, so ids are those of its Python package.
#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <cstddef>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/text/tokenizers.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

// libsentencepiece and LibTorch's libc10 both define a global of this name, an object of 32 bytes and an int, and one
// definition serves both: in libc10's place the object overwrites the mutex that follows, and running TorchScript
// hangs. A definition in the program comes before those of libraries, and this one has room for either. libc10 does not
// use its flag.
__attribute__((visibility("default"), used)) alignas(std::max_align_t) char FLAGS_minloglevel[256];

namespace capstan {
namespace text {
namespace {

constexpr const char* kModelName = "tokenizer.model";

class SentencePiece final : public Tokenizer {
 public:
  // `bytes` is the whole file `where`; `config` may name special tokens among the pieces.
  SentencePiece(std::string bytes, const std::string& where, const TokenizerConfig& config);

  std::vector<std::int64_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const override;
  std::int64_t vocab_size() const override { return processor_.GetPieceSize(); }
  std::optional<std::int64_t> bos_token_id() const override { return roles_[Role::kBos]; }
  std::optional<std::int64_t> eos_token_id() const override { return roles_[Role::kEos]; }
  std::optional<std::int64_t> pad_token_id() const override { return roles_[Role::kPad]; }
  std::optional<std::int64_t> unk_token_id() const override { return roles_[Role::kUnk]; }
  std::optional<std::int64_t> token_to_id(std::string_view token) const override;
  std::string id_to_token(std::int64_t id) const override {
    require_id(id, static_cast<std::size_t>(vocab_size()), kind());
    return processor_.IdToPiece(static_cast<int>(id));
  }
  std::string kind() const override { return "sentencepiece"; }
  void save(const std::filesystem::path& directory) const override;

 private:
  void set_roles(const TokenizerConfig& config, const std::string& where);

  std::string bytes_;  // as read, so that a saved model is the same file
  SentencePieceModel model_;
  sentencepiece::SentencePieceProcessor processor_;
  RoleIds roles_;
  std::int64_t model_max_length_;
  bool clean_up_;
};

SentencePiece::SentencePiece(std::string bytes, const std::string& where, const TokenizerConfig& config)
    : bytes_(std::move(bytes)),
      model_(parse_sentencepiece_model(bytes_, where)),
      model_max_length_(config.model_max_length),
      clean_up_(config.clean_up_spaces(model_.type == SentencePieceModelType::kBpe)) {
  const auto status = processor_.LoadFromSerializedProto(bytes_);
  if (!status.ok()) {
    throw DataError(fmt::format("{}: SentencePiece cannot use the model: {}", where, status.ToString()));
  }
  set_roles(config, where);
}

void SentencePiece::set_roles(const TokenizerConfig& config, const std::string& where) {
  const auto set = [&](Role role, int id) {
    if (id >= 0) roles_[role] = static_cast<TokenId>(id);
  };
  set(Role::kBos, processor_.bos_id());
  set(Role::kEos, processor_.eos_id());
  set(Role::kPad, processor_.pad_id());
  set(Role::kUnk, processor_.unk_id());
  for (const auto& [role, key] : kRoles) {
    if (!config.roles[role]) continue;
    const std::string& token = config.roles[role]->content;
    const auto id = token_to_id(token);
    if (!id) {
      throw UnsupportedError(
          fmt::format("{}: the {} '{}' of tokenizer_config.json is no piece of the model; tokens "
                      "added beside a SentencePiece model are not supported.",
                      where, key, token));
    }
    roles_[role] = static_cast<TokenId>(*id);
  }
}

std::optional<std::int64_t> SentencePiece::token_to_id(std::string_view token) const {
  const int id = processor_.PieceToId(token);
  if (id >= 0 && id < processor_.GetPieceSize() && processor_.IdToPiece(id) == token) return id;
  return std::nullopt;  // the library answers "unknown" for what it does not know
}

std::vector<std::int64_t> SentencePiece::encode(std::string_view text) const {
  std::vector<int> ids;
  const auto status = processor_.Encode(text, &ids);
  if (!status.ok()) throw DataError("SentencePiece cannot encode the text: " + status.ToString());
  return {ids.begin(), ids.end()};
}

std::string SentencePiece::decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  std::string text;
  std::vector<int> run;
  const auto flush = [&] {
    std::string part;
    const auto status = processor_.Decode(run, &part);
    if (!status.ok()) throw DataError("SentencePiece cannot decode the ids: " + status.ToString());
    text += part;
    run.clear();
  };
  for (const std::int64_t id : ids) {
    require_id(id, static_cast<std::size_t>(vocab_size()), kind());
    const int piece = static_cast<int>(id);
    if (!processor_.IsControl(piece)) {
      run.push_back(piece);
    } else if (!skip_special_tokens) {
      flush();
      text += processor_.IdToPiece(piece);
    }
  }
  flush();
  return clean_up_ ? clean_up_tokenization(std::move(text)) : text;
}

void SentencePiece::save(const std::filesystem::path& directory) const {
  const nlohmann::ordered_json tokenizer = sentencepiece_tokenizer_json(model_);
  std::filesystem::create_directories(directory);
  write_file_atomic(directory / kModelName, bytes_);
  write_json(directory / "tokenizer.json", tokenizer);
  PerRole<std::string> tokens;
  for (const auto& [role, key] : kRoles) {
    if (roles_[role]) tokens[role] = processor_.IdToPiece(static_cast<int>(*roles_[role]));
  }
  write_tokenizer_config(directory, "PreTrainedTokenizerFast", tokens, model_max_length_, clean_up_,
                         nlohmann::ordered_json::object());
}

// The model file of a folder: by its usual names, else the only *.model where no other tokenizer is.
std::optional<std::filesystem::path> find_model(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) return path.extension() == ".model" ? std::optional(path) : std::nullopt;
  for (const char* name : {kModelName, "spiece.model"}) {
    if (fs::exists(path / name)) return path / name;
  }
  if (fs::exists(path / "tokenizer.json") || fs::exists(path / "vocab.json")) return std::nullopt;
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".model") models.push_back(entry.path());
  }
  if (models.size() != 1) return std::nullopt;
  return models.front();
}

void require_supported(const TokenizerOptions& options, const std::filesystem::path& path) {
  const auto refuse = [&](std::string_view option, std::string_view instead) {
    throw UnsupportedError(
        fmt::format("{}: {} is not supported by a SentencePiece model that is already trained; train one "
                    "with {} instead.",
                    path.string(), option, instead));
  };
  if (options.add_prefix_space) refuse("add_prefix_space", "add_dummy_prefix");
  if (!options.added_tokens.empty()) refuse("added_tokens", "user_defined_symbols");
  if (!options.special_tokens.empty()) refuse("special_tokens", "control_symbols");
}

}  // namespace

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& path,
                                                    const TokenizerOptions& options) {
  require_supported(options, path);
  const auto model = find_model(path);
  if (!model) throw DataError(path.string() + ": holds no SentencePiece model (tokenizer.model or spiece.model).");
  if (model->filename() == "sentencepiece.bpe.model") {
    throw UnsupportedError(model->string() +
                           ": models of this name (XLM-R, mBART, NLLB) are used with shifted ids, "
                           "which is not supported.");
  }
  auto config = std::filesystem::is_directory(path) ? read_tokenizer_config(path) : TokenizerConfig{};
  config.apply(options);
  return std::make_shared<SentencePiece>(read_file(*model), model->string(), config);
}

}  // namespace text

TokenizerEntry sentencepiece_tokenizer() {
  return {.name = "sentencepiece",
          .summary = "SentencePiece unigram and BPE models",
          .files = "tokenizer.model, spiece.model or a single *.model",
          .matches = [](const std::filesystem::path& path) { return text::find_model(path).has_value(); },
          .load = text::load_sentencepiece};
}

}  // namespace capstan
