// A model folder as one object that captions pictures.
#include "capstan/generate/captioner.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/generate/decode.h"
#include "capstan/models/pretrained.h"

namespace capstan {
namespace {

// Pictures that go through the model together; bounds the memory of a long list.
constexpr std::size_t kBatchSize = 16;

}  // namespace

Captioner::Captioner(const std::filesystem::path& model_directory, const CaptionerOptions& options) {
  const c10::Device device = parse_device(options.device);
  const c10::ScalarType dtype = parse_dtype(options.dtype);
  if (options.max_new_tokens < 0)
    throw ConfigError(fmt::format("max_new_tokens is {}, expected 1 or more, or 0 for what the model folder says",
                                  options.max_new_tokens));
  if (!std::filesystem::is_directory(model_directory))
    throw CheckpointError(
        fmt::format("{}: no such folder; expected a model folder with config.json, model.safetensors, "
                    "preprocessor_config.json and a tokenizer",
                    model_directory.string()));
  generation_ = read_generation_config(model_directory);
  if (options.max_new_tokens > 0) generation_.max_new_tokens = options.max_new_tokens;
  processor_ = ImageProcessor::from_pretrained(model_directory);
  tokenizer_ = load_tokenizer(model_directory);
  model_ = load_pretrained(model_directory);
  const int expected = model_->config().encoder.image_size;
  if (processor_.config().size != expected)
    throw CheckpointError(
        fmt::format("{}: preprocessor_config.json makes pictures of {} pixels and the encoder of "
                    "config.json expects {}; make the two agree",
                    model_directory.string(), processor_.config().size, expected));
  if (tokenizer_->vocab_size() > model_->config().decoder.vocab_size)
    throw CheckpointError(
        fmt::format("{}: the tokenizer has {} tokens and the decoder of config.json {}; they are not of "
                    "one model",
                    model_directory.string(), tokenizer_->vocab_size(), model_->config().decoder.vocab_size));
  model_->to(device, dtype);
  model_->eval();
}

std::string Captioner::caption(const Image& image) { return caption(std::span(&image, 1)).front(); }

std::vector<std::string> Captioner::caption(std::span<const Image> images) {
  std::vector<std::string> captions;
  for (std::size_t start = 0; start < images.size(); start += kBatchSize) {
    std::vector<at::Tensor> pixels;
    for (const Image& image : images.subspan(start, std::min(kBatchSize, images.size() - start)))
      pixels.push_back(processor_(image));
    for (const auto& ids : generate(*model_, at::cat(pixels), generation_))
      captions.emplace_back(trim(tokenizer_->decode(ids)));
  }
  return captions;
}

}  // namespace capstan
