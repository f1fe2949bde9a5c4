// A tokenizer, a cache of drawn pictures and a model small enough to train in a unit test.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "capstan/core/files.h"
#include "capstan/data/cache.h"
#include "capstan/data/prepare.h"
#include "capstan/image/decode.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan::testing {

constexpr int kTinyImageSize = 32;
constexpr std::int64_t kTinyEndId = 256;

// GPT-2's byte alphabet as UTF-8: printable Latin-1 bytes stand for themselves, the others for U+0100 and up.
inline std::string byte_symbol(int byte, int& next) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  const int code = printable ? byte : 256 + next++;
  if (code == '"' || code == '\\') return std::string("\\") + static_cast<char>(code);
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// A byte-level BPE without merges: one token per byte, id = byte, and <|endoftext|> = 256.
inline std::shared_ptr<const Tokenizer> tiny_tokenizer(const fs::path& directory) {
  fs::create_directories(directory);
  std::string vocabulary = "{";
  int next = 0;
  for (int byte = 0; byte < 256; ++byte)
    vocabulary += "\"" + byte_symbol(byte, next) + "\": " + std::to_string(byte) + ", ";
  write_file_atomic(directory / "vocab.json", vocabulary + "\"<|endoftext|>\": 256}");
  write_file_atomic(directory / "merges.txt", "#version: 0.2\n");
  return load_tokenizer(directory);
}

// `num_images` plain pictures, one of three colours each, with two captions.
class TinySource final : public CaptionSource {
 public:
  TinySource(fs::path directory, int num_images) : directory_(std::move(directory)), num_images_(num_images) {
    fs::create_directories(directory_);
    for (int i = 0; i < num_images_; ++i) {
      Image image{.height = kTinyImageSize, .width = kTinyImageSize, .rgb = {}};
      image.rgb.assign(kTinyImageSize * kTinyImageSize * 3, static_cast<std::uint8_t>(10 + 5 * (i % 16)));
      for (std::size_t at = static_cast<std::size_t>(i % 3); at < image.rgb.size(); at += 3) image.rgb[at] = 220;
      std::ofstream(file(i), std::ios::binary) << encode_jpeg(image, 95);
    }
  }
  void read(const TakeImage& take, std::vector<LedgerEntry>&) const override {
    constexpr std::array<const char*, 3> kColours{"red", "green", "blue"};
    for (int i = 0; i < num_images_; ++i) {
      const std::string colour = kColours[static_cast<std::size_t>(i % 3)];
      take({.image_id = std::to_string(i),
            .file = file(i),
            .split = i % 4 == 3 ? "validation" : "train",
            .captions = {colour, "a " + colour + " wall"},
            .name = {}});
    }
  }

 private:
  fs::path file(int index) const { return directory_ / (std::to_string(index) + ".jpg"); }
  fs::path directory_;
  int num_images_;
};

// Splits "train" (three quarters) and "validation" in `directory`/cache; returns that folder.
inline fs::path tiny_cache(const fs::path& directory, int num_images = 16) {
  std::vector<std::unique_ptr<CaptionSource>> sources;
  sources.push_back(std::make_unique<TinySource>(directory / "pictures", num_images));
  PrepareConfig config;
  config.image.size = kTinyImageSize;
  const auto tokenizer = [&](const Corpus&) { return tiny_tokenizer(directory / "tokenizer"); };
  prepare(sources, tokenizer, config, directory / "cache", {});
  return directory / "cache";
}

inline VisionEncoderDecoderConfig tiny_model_config(double dropout = 0) {
  VisionEncoderDecoderConfig config;
  config.encoder.hidden_size = 16;
  config.encoder.num_hidden_layers = 1;
  config.encoder.num_attention_heads = 2;
  config.encoder.intermediate_size = 32;
  config.encoder.image_size = kTinyImageSize;
  config.encoder.hidden_dropout_prob = dropout;
  config.decoder.vocab_size = 257;
  config.decoder.n_positions = 32;
  config.decoder.n_embd = 16;
  config.decoder.n_layer = 1;
  config.decoder.n_head = 2;
  config.decoder.resid_pdrop = config.decoder.embd_pdrop = config.decoder.attn_pdrop = dropout;
  config.decoder_start_token_id = config.bos_token_id = config.eos_token_id = config.pad_token_id = kTinyEndId;
  return config;
}

}  // namespace capstan::testing
