// Pictures to captions with one object:
//
//   capstan::Captioner captioner("checkpoints/scenes/checkpoint-900");
//   std::string text = captioner.caption(capstan::read_image("photo.jpg"));
//
// One Captioner may be used by one thread at a time.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capstan/generate/options.h"
#include "capstan/image/image.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct CaptionerOptions {
  std::string device = "auto";
  std::string dtype = "float32";
  int max_new_tokens = 0;  // 0: what generation_config.json says
};

class Captioner {
 public:
  // A complete Hugging Face folder. CheckpointError names the file that is missing or wrong.
  explicit Captioner(const std::filesystem::path& model_directory, const CaptionerOptions& options = {});
  std::string caption(const Image& image);
  std::vector<std::string> caption(std::span<const Image> images);

  const GenerationConfig& generation() const { return generation_; }
  const ImageProcessor& processor() const { return processor_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  VisionEncoderDecoder& model() { return *model_; }

 private:
  std::shared_ptr<VisionEncoderDecoder> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  ImageProcessor processor_;
  GenerationConfig generation_;
};

}  // namespace capstan
