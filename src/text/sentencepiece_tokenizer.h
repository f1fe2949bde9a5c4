// SentencePiece models as tokenizers, and their translation to tokenizer.json.
#pragma once
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "capstan/text/tokenizer.h"
#include "text/sentencepiece_model.h"

namespace capstan::text {

// A .model file, or a folder that holds one. DataError when it is broken, UnsupportedError for options other than
// clean_up_tokenization_spaces: the pieces of a model are fixed when it is trained.
std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& path, const TokenizerOptions& options);

// tokenizer.json of Hugging Face tokenizers with the ids of the model. UnsupportedError for models that have none
// (words, characters, space as suffix).
nlohmann::ordered_json sentencepiece_tokenizer_json(const SentencePieceModel& model);

}  // namespace capstan::text
