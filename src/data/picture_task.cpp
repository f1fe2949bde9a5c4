#include "data/picture_task.h"

#include <fmt/format.h>
#include <charconv>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/image/decode.h"
#include "data/file_reader.h"

namespace capstan {
namespace {

constexpr std::uint64_t kMaxPictureBytes = std::uint64_t{1} << 30;

// The digits of "xxh128:<32 hex digits>" as bytes.
ContentHash hash_of(const std::string& bytes) {
  const std::string text = checksum_bytes(bytes);
  ContentHash hash;
  const char* digits = text.data() + text.size() - 2 * hash.size();
  for (std::uint8_t& byte : hash) {
    std::from_chars(digits, digits + 2, byte, 16);
    digits += 2;
  }
  return hash;
}

}  // namespace

PictureTask::PictureTask(const PrepareConfig& config, const Tokenizer& tokenizer)
    : config_(config), tokenizer_(tokenizer), processor_(config.image) {}

PreparedPicture PictureTask::operator()(Corpus::Record record) const {
  PreparedPicture picture;
  picture.image = std::move(record.image);
  picture.source = record.source;
  try {
    fill(picture);
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const std::string& prefix : {file_text(picture.image) + ": ", picture.image.file.string() + ": "})
      if (text.starts_with(prefix) && !picture.error) picture.error = text.substr(prefix.size());
    if (!picture.error) picture.error = text;
  }
  return picture;
}

void PictureTask::fill(PreparedPicture& picture) const {
  const CaptionedImage& image = picture.image;
  const std::string bytes = read_part(image.file, image.offset, image.size, kMaxPictureBytes);
  picture.content_hash = hash_of(bytes);
  Image resized = processor_.resize(
      decode_image(std::as_bytes(std::span(bytes)), file_text(image), config_.decode, processor_.wanted_size()));
  if (config_.store == "raw") {
    picture.payload = std::move(resized.rgb);
  } else {
    const std::string jpeg = encode_jpeg(resized, config_.jpeg_quality);
    picture.payload.assign(jpeg.begin(), jpeg.end());
  }
  for (const std::string& caption : image.captions) picture.token_ids.push_back(tokenizer_.encode(caption));
}

std::string file_text(const CaptionedImage& image) {
  return image.size == 0 ? image.file.string() : fmt::format("{}: {}", image.file.string(), image.name);
}

}  // namespace capstan
