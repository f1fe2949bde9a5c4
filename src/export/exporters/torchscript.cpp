// One file for torch.jit.load in Python and torch::jit::load in C++: encode, decode and the whole greedy loop.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/generate/decode.h"
#include "export/folder.h"
#include "export/parity.h"
#include "export/supported.h"
#include "export/torchscript/models.h"

namespace capstan {
namespace {

constexpr const char* kFile = "torchscript/model.pt";
constexpr double kTolerance = 1e-4;

std::vector<ExportedFile> run(Captioner& captioner, const ExportOptions& options) {
  require_emitter(captioner.model().config(), "TorchScript");
  std::vector<ExportedFile> files = write_settings(captioner, options.output);
  std::filesystem::create_directories((options.output / kFile).parent_path());
  torchscript::build_captioner(captioner.model(), captioner.generation()).save((options.output / kFile).string());
  files.push_back(exported_file(options.output, kFile));
  return files;
}

// Captions that differ from ours, as a fraction.
double caption_disagreement(const at::Tensor& ids_BT, const std::vector<std::vector<std::int64_t>>& expected,
                            const GenerationConfig& generation) {
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < expected.size(); ++row) {
    const at::Tensor line = ids_BT[static_cast<std::int64_t>(row)].contiguous();
    const std::int64_t* first = line.const_data_ptr<std::int64_t>() + 1;  // after the start token
    const std::int64_t* last = std::find(first, first + line.numel() - 1, generation.eos_token_id);
    if (std::vector<std::int64_t>(first, last) != expected[row]) ++wrong;
  }
  return static_cast<double>(wrong) / static_cast<double>(expected.size());
}

std::vector<ParityCheck> verify(Captioner& captioner, const ExportOptions& options) {
  const c10::InferenceMode no_gradients;
  torch::jit::Module module = torch::jit::load((options.output / kFile).string());
  VisionEncoderDecoder& model = captioner.model();
  const VisionEncoderDecoderConfig& config = model.config();
  const at::Tensor pixel_values = sample_pixel_values(config.encoder, 2);
  const at::Tensor ids = sample_ids(config.decoder, 2, std::min(5, config.decoder.n_positions));

  const at::Tensor hidden = module.get_method("encode")({pixel_values}).toTensor();
  const at::Tensor logits = module.get_method("decode")({ids, hidden}).toTensor();
  const at::Tensor expected_hidden = model.encode(pixel_values);
  const at::Tensor expected_logits = model.decode(ids, expected_hidden);
  const GenerationConfig& generation = captioner.generation();
  const at::Tensor drawn = module.get_method("generate")({pixel_values, generation.max_new_tokens}).toTensor();
  const auto expected = generate(model, pixel_values, generation);
  return {{"image tokens", max_abs_diff(hidden, expected_hidden), kTolerance},
          {"logits", max_abs_diff(logits, expected_logits), kTolerance},
          {"captions that differ", caption_disagreement(drawn, expected, generation), 0.0}};
}

}  // namespace

ExporterEntry torchscript_exporter() {
  return {.name = "torchscript",
          .summary = "TorchScript module with encode, decode and generate, for Python and C++ (torchscript/model.pt)",
          .run = run,
          .verify = verify};
}

}  // namespace capstan
