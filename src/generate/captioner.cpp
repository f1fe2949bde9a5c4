// A model folder as one object that captions pictures.
#include "capstan/generate/captioner.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/models/pretrained.h"
#include "generate/batching.h"
#include "generate/kernels/cpu.h"

namespace capstan {
namespace {

// Pictures under way in captions(); bounds the memory of a long list.
constexpr int kMostPictures = 16;

void check_sizes(const std::filesystem::path& folder, const VisionEncoderDecoderConfig& model,
                 const ImageProcessor& processor, const Tokenizer& tokenizer) {
  if (processor.config().size != model.encoder.image_size)
    throw CheckpointError(
        fmt::format("{}: preprocessor_config.json makes pictures of {} pixels and the encoder of "
                    "config.json expects {}; make the two agree",
                    folder.string(), processor.config().size, model.encoder.image_size));
  if (tokenizer.vocab_size() > model.decoder.vocab_size)
    throw CheckpointError(
        fmt::format("{}: the tokenizer has {} tokens and the decoder of config.json {}; they are not of "
                    "one model",
                    folder.string(), tokenizer.vocab_size(), model.decoder.vocab_size));
}

// Whether matrices of bfloat16 are multiplied by instructions made for it.
bool has_fast_bfloat16() {
  const kernels::Cpu cpu = kernels::detect_cpu();
#if defined(__x86_64__)
  if (cpu.isa == kernels::Isa::kAvx512 && __builtin_cpu_supports("avx512bf16")) return true;
#endif
  return cpu.amx;
}

// For int8 weights of the decoder. Those are made of weights that were not rounded before; what comes before the
// decoder runs in the fastest type.
void speed_up_encoder(VisionEncoderDecoder& model) {
  if (!has_fast_bfloat16()) return;
  for (const auto& part : model.named_children())
    if (part.key() != "decoder") part.value()->to(c10::kBFloat16);
}

// What the processor makes of each of the 256 levels a byte can have.
std::array<std::array<float, 256>, 3> level_table(const ImageProcessor& processor) {
  const at::Tensor ramp_HWC = at::arange(256, at::kByte).view({1, 256, 1}).expand({1, 256, 3}).contiguous();
  const at::Tensor levels_1CHW = processor.normalize(ramp_HWC);
  std::array<std::array<float, 256>, 3> table{};
  for (std::size_t channel = 0; channel < 3; ++channel)
    std::copy_n(levels_1CHW.const_data_ptr<float>() + 256 * channel, 256, table[channel].begin());
  return table;
}

}  // namespace

Captioner::Captioner(const std::filesystem::path& model_directory, const CaptionerOptions& options) {
  const c10::Device device = parse_device(options.device);
  const bool int8 = options.dtype == "int8";
  const c10::ScalarType dtype = int8 ? c10::kFloat : parse_dtype(options.dtype);
  if (dtype == c10::kHalf && device.is_cpu())
    throw ConfigError("dtype: float16 is for GPUs; on a CPU use bfloat16, int8 or float32");
  if (int8 && !device.is_cpu()) throw ConfigError("dtype: int8 is for CPUs; on a GPU use bfloat16 or float16");
  if (!std::filesystem::is_directory(model_directory))
    throw CheckpointError(
        fmt::format("{}: no such folder; expected a model folder with config.json, model.safetensors, "
                    "preprocessor_config.json and a tokenizer",
                    model_directory.string()));
  generation_ = read_generation_config(model_directory);
  if (options.generation) options.generation(generation_);
  std::vector<std::string> problems;
  generation_.check(problems);
  if (!problems.empty()) throw ConfigError("generation: " + join(problems, "; ") + ".");
  processor_ = ImageProcessor::from_pretrained(model_directory);
  levels_ = level_table(processor_);
  tokenizer_ = load_tokenizer(model_directory);
  model_ = load_pretrained(model_directory, {.dtype = dtype});
  check_sizes(model_directory, model_->config(), processor_, *tokenizer_);
  model_->to(device);
  if (int8) speed_up_encoder(*model_);
  model_->eval();
  engine_.dtype = int8 ? "int8" : dtype_name(dtype);
}

std::string Captioner::caption(const Image& image) { return caption(std::span(&image, 1)).front(); }

std::vector<std::string> Captioner::caption(std::span<const Image> images) {
  std::vector<std::string> best;
  for (auto& found : captions(images)) best.push_back(std::move(found.front().text));
  return best;
}

std::vector<std::vector<Caption>> Captioner::captions(std::span<const Image> images) {
  const c10::InferenceMode no_gradients;
  std::vector<std::vector<Caption>> found(images.size());
  if (images.empty()) return found;
  if (!own_) own_ = generator(kMostPictures);
  try {
    std::size_t begun = 0, done = 0;
    while (done < images.size()) {
      const auto waiting = static_cast<std::int64_t>(images.size() - begun);
      const auto count = static_cast<std::size_t>(pictures_to_add(kMostPictures, own_->room(), waiting));
      if (count > 0) {
        std::vector<at::Tensor> pixels;
        for (const Image& image : images.subspan(begun, count)) pixels.push_back(this->pixels(image));
        std::vector<std::uint64_t> tickets(count);
        std::iota(tickets.begin(), tickets.end(), begun);
        own_->add(at::cat(pixels), tickets);
        begun += count;
      }
      for (const Finished& finished : own_->step()) {
        found[finished.ticket] = decoded(finished);
        ++done;
      }
    }
  } catch (...) {
    own_.reset();  // pictures of this call are still in it
    throw;
  }
  return found;
}

at::Tensor Captioner::pixels(const Image& image) const {
  // By table instead of arithmetic, with the same results: tensor operations would start a team of OpenMP threads for
  // every thread that calls this.
  const Image resized = processor_.resize(image);
  const auto area = static_cast<std::size_t>(resized.height) * static_cast<std::size_t>(resized.width);
  at::Tensor pixels_1CHW = at::empty({1, 3, resized.height, resized.width}, at::kFloat);
  auto* out = pixels_1CHW.mutable_data_ptr<float>();
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::size_t i = 0; i < area; ++i) *out++ = levels_[channel][resized.rgb[3 * i + channel]];
  return pixels_1CHW;
}

std::unique_ptr<Generator> Captioner::generator(int max_pictures) {
  CAPSTAN_ASSERT(max_pictures >= 1);
  EngineOptions engine = engine_;
  engine.max_rows = std::int64_t{max_pictures} * generation_.texts_per_picture();
  engine.max_tokens = std::min<std::int64_t>(generation_.longest() + 1, model_->config().decoder.n_positions);
  return std::make_unique<Generator>(*model_, generation_, tokenizer_, engine);
}

std::vector<Caption> Captioner::decoded(const Finished& finished) const {
  std::vector<Caption> captions;
  for (const Candidate& candidate : finished.candidates)
    captions.push_back({.text = std::string(trim(tokenizer_->decode(candidate.ids))), .score = candidate.score});
  return captions;
}

int Captioner::auto_batch_size() const {
  // A step reads all weights of the decoder once, for however many texts. Beyond these numbers of texts the arithmetic
  // takes longer than the reading, and more texts gain little.
  const bool on_gpu = model_->parameters().front().is_cuda();
  const int texts = generation_.texts_per_picture();
  int pictures = std::max(on_gpu ? 8 : 1, (on_gpu ? 256 : 32) / texts);
  if (!on_gpu) {
    // Keys and values of texts and pictures, in a quarter of the memory that is free.
    const Gpt2Config& decoder = model_->config().decoder;
    const std::int64_t tokens =
        std::int64_t{texts} * std::min<std::int64_t>(generation_.longest() + 1, decoder.n_positions) +
        model_->encoder().num_tokens();
    const std::int64_t bytes = tokens * decoder.n_layer * decoder.n_embd * 2 * std::int64_t{sizeof(float)};
    const std::int64_t free = std::int64_t{::sysconf(_SC_AVPHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    pictures = static_cast<int>(std::clamp<std::int64_t>(free / 4 / bytes, 1, pictures));
  }
  return pictures;
}

}  // namespace capstan
