// Pictures to captions with one object:
//
//   capstan::Captioner captioner("checkpoints/scenes/checkpoint-900");
//   std::string text = captioner.caption(capstan::read_image("photo.jpg"));
//
// Threads: caption(), captions() and generator() are for one thread at a time, and so is everything a generator does.
// The const members may be called by any number of threads at any time, also while another one draws captions: decode
// and pixels() belong into threads of their own. For captions from many threads there is CaptionStream (stream.h).
// Nobody may change the model's weights, mode or device after the first caption: generators keep copies of some.
#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capstan/generate/generator.h"
#include "capstan/generate/options.h"
#include "capstan/image/image.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct CaptionerOptions {
  std::string device = "auto";
  std::string dtype = "float32";  // float32, bfloat16, float16 (not on a CPU), or int8 weights
  // Changes what generation_config.json says; null: nothing.
  std::function<void(GenerationConfig&)> generation;
};

struct Caption {
  std::string text;
  double score = 0;  // Candidate::score
};

class Captioner {
 public:
  // A complete Hugging Face folder. CheckpointError names the file that is missing or wrong; ConfigError an option that
  // is wrong or contradicts another.
  explicit Captioner(const std::filesystem::path& model_directory, const CaptionerOptions& options = {});
  std::string caption(const Image& image);
  std::vector<std::string> caption(std::span<const Image> images);
  // num_return_sequences captions of each picture, best first.
  std::vector<std::vector<Caption>> captions(std::span<const Image> images);
  // What the encoder sees of a picture, float32 [1, 3, H, W] on the CPU. Starts no threads of its own.
  at::Tensor pixels(const Image& image) const;
  // A generator over this model with these options, for streams. `max_pictures` at a time.
  std::unique_ptr<Generator> generator(int max_pictures);
  std::vector<Caption> decoded(const Finished& finished) const;
  // How many pictures at a time are fast on this device with these options and fit into the memory that is free.
  int auto_batch_size() const;

  const GenerationConfig& generation() const { return generation_; }
  const ImageProcessor& processor() const { return processor_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  VisionEncoderDecoder& model() { return *model_; }

 private:
  std::shared_ptr<VisionEncoderDecoder> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  ImageProcessor processor_;
  GenerationConfig generation_;
  EngineOptions engine_;
  std::array<std::array<float, 256>, 3> levels_{};  // of each channel: what a grey level becomes
  std::unique_ptr<Generator> own_;                  // of captions(), made when first needed
};

}  // namespace capstan
