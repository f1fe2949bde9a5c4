// The parts of a SentencePiece .model file that its C++ interface does not show, read without a protobuf library.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::text {

// Numbers as in sentencepiece_model.proto.
enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
enum class SentencePieceModelType { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };

  std::vector<Piece> pieces;  // by id
  SentencePieceModelType type = SentencePieceModelType::kUnigram;
  bool byte_fallback = false;
  bool space_as_suffix = false;
  std::string charsmap;  // the compiled normalisation rules; empty: none
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
};

// DataError naming `where` when the bytes are cut off, are no such model, or hold rules that point outside themselves.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& where);

}  // namespace capstan::text
