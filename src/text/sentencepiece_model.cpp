// A bounds-checked reader of the protobuf wire format for the handful of fields that are needed.
#include "text/sentencepiece_model.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan::text {
namespace {

// One field of a message: its number and either a number or bytes.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;  // varint and fixed-width fields
  std::string_view bytes;   // length-delimited fields
};

class MessageReader {
 public:
  MessageReader(std::string_view bytes, const std::string& where) : rest_(bytes), where_(where) {}

  // The next field; nullopt at the end of the message.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field{.number = key >> 3};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        broken();
    }
    return field;
  }

 private:
  [[noreturn]] void broken() const {
    throw DataError(fmt::format("{}: is cut off or no SentencePiece model. Copy or download the file again.", where_));
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) broken();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    broken();
  }
  std::uint64_t fixed(std::size_t size) {
    const std::string_view bytes = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  std::string_view rest_;
  const std::string& where_;
};

SentencePieceModel::Piece parse_piece(std::string_view bytes, const std::string& where) {
  SentencePieceModel::Piece piece;
  MessageReader reader(bytes, where);
  while (const auto field = reader.next()) {
    if (field->number == 1) piece.text = field->bytes;
    if (field->number == 2) {
      const auto bits = static_cast<std::uint32_t>(field->value);
      std::memcpy(&piece.score, &bits, sizeof(bits));
    }
    if (field->number == 3) piece.type = static_cast<PieceType>(field->value);
  }
  if (!is_valid_utf8(piece.text)) throw DataError(where + ": a piece is not UTF-8 text.");
  return piece;
}

void parse_trainer_spec(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  MessageReader reader(bytes, where);
  while (const auto field = reader.next()) {
    if (field->number == 3) model.type = static_cast<SentencePieceModelType>(field->value);
    if (field->number == 24) model.space_as_suffix = field->value != 0;
    if (field->number == 35) model.byte_fallback = field->value != 0;
  }
}

void parse_normalizer_spec(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  MessageReader reader(bytes, where);
  while (const auto field = reader.next()) {
    if (field->number == 2) model.charsmap = field->bytes;
    if (field->number == 3) model.add_dummy_prefix = field->value != 0;
    if (field->number == 4) model.remove_extra_spaces = field->value != 0;
    if (field->number == 5) model.escape_spaces = field->value != 0;
  }
}

std::uint32_t little_endian(std::string_view bytes, std::size_t index) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[index * 4 + i]);
  return value;
}

// The rules are a double-array trie (one 32-bit unit per node) before zero-terminated replacements. The library walks
// it without checks, so every step that a unit can lead to must stay inside.
void check_charsmap(std::string_view charsmap, const std::string& where) {
  if (charsmap.empty()) return;
  const auto require = [&](bool holds) {
    if (!holds) throw DataError(where + ": the normalisation rules are damaged.");
  };
  require(charsmap.size() >= 4);
  const std::uint32_t trie_size = little_endian(charsmap, 0);
  require(trie_size > 0 && trie_size % 4 == 0 && trie_size < charsmap.size() - 4 && charsmap.back() == '\0');
  const std::string_view trie = charsmap.substr(4, trie_size);
  const std::size_t replacements_size = charsmap.size() - 4 - trie_size;
  const std::uint32_t num_units = trie_size / 4;
  for (std::uint32_t i = 0; i < num_units; ++i) {
    const std::uint32_t unit = little_endian(trie, i);
    if (unit >> 31 != 0) {  // a leaf: the place of its replacement
      require((unit & 0x7FFFFFFF) < replacements_size);
      continue;
    }
    const std::uint32_t offset = unit >> 10 << ((unit & 0x200) >> 6);
    require(((i ^ offset) | 0xFF) < num_units);
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& where) {
  SentencePieceModel model;
  MessageReader reader(bytes, where);
  while (const auto field = reader.next()) {
    if (field->number == 1) model.pieces.push_back(parse_piece(field->bytes, where));
    if (field->number == 2) parse_trainer_spec(field->bytes, where, model);
    if (field->number == 3) parse_normalizer_spec(field->bytes, where, model);
  }
  if (model.pieces.empty()) throw DataError(where + ": holds no pieces; it is no SentencePiece model.");
  check_charsmap(model.charsmap, where);
  return model;
}

}  // namespace capstan::text
