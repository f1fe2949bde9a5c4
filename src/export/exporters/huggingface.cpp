// A folder that transformers, tokenizers and this program open: the weights in safetensors, all settings, a model card.
#include <fmt/format.h>

#include <algorithm>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/core/version.h"
#include "export/folder.h"
#include "export/parity.h"

namespace capstan {
namespace {

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kCard = "README.md";

constexpr const char* kCardText = R"(---
library_name: transformers
pipeline_tag: image-to-text
tags:
- image-captioning
- vision-encoder-decoder
---
# Image captioner

A vision encoder ({encoder}) of {encoder_layers} layers (width {encoder_width}, pictures of {size} x {size} pixels,
patches of {patch} x {patch}) and a GPT-2 decoder of {decoder_layers} layers (width {decoder_width}, {vocabulary}
tokens) with cross-attention: {parameters} parameters, stored as float32. Written by Capstan {version}.

```python
from PIL import Image
from transformers import AutoTokenizer, ViTImageProcessor, VisionEncoderDecoderModel

folder = "."
model = VisionEncoderDecoderModel.from_pretrained(folder).eval()
processor = ViTImageProcessor.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
pixels = processor(Image.open("photo.jpg").convert("RGB"), return_tensors="pt").pixel_values
print(tokenizer.batch_decode(model.generate(pixels), skip_special_tokens=True)[0].strip())
```

```sh
capstan caption . photo.jpg
```

Captions have at most {max_new_tokens} tokens. The training data and the licence of the weights are for the publisher
to add here.
)";

std::string model_card(Captioner& captioner) {
  const VisionEncoderDecoderConfig& config = captioner.model().config();
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : captioner.model().state()) parameters += tensor.numel();
  return fmt::format(fmt::runtime(kCardText), fmt::arg("encoder", config.encoder.model_type),
                     fmt::arg("encoder_layers", config.encoder.num_hidden_layers),
                     fmt::arg("encoder_width", config.encoder.hidden_size), fmt::arg("size", config.encoder.image_size),
                     fmt::arg("patch", config.encoder.patch_size), fmt::arg("decoder_layers", config.decoder.n_layer),
                     fmt::arg("decoder_width", config.decoder.n_embd),
                     fmt::arg("vocabulary", config.decoder.vocab_size),
                     fmt::arg("parameters", human_count(static_cast<double>(parameters))),
                     fmt::arg("version", version()), fmt::arg("max_new_tokens", captioner.generation().max_new_tokens));
}

std::vector<ExportedFile> run(Captioner& captioner, const ExportOptions& options) {
  std::vector<ExportedFile> files = write_settings(captioner, options.output);
  write_safetensors(options.output / kWeights, captioner.model().state());
  write_file_atomic(options.output / kCard, model_card(captioner));
  files.push_back(exported_file(options.output, kWeights));
  files.push_back(exported_file(options.output, kCard));
  return files;
}

std::vector<ParityCheck> verify(Captioner& captioner, const ExportOptions& options) {
  const TensorMap written = read_safetensors(options.output / kWeights);
  const TensorMap state = captioner.model().state();
  double worst = 0;
  for (const auto& [name, tensor] : state) {
    const auto found = written.find(name);
    if (found == written.end() || written.size() != state.size())
      throw Error(fmt::format("{}: the tensors read back are not those written ('{}')",
                              (options.output / kWeights).string(), name));
    worst = std::max(worst, max_abs_diff(tensor, found->second));
  }
  return {{"weights read back", worst, 0.0}};
}

}  // namespace

ExporterEntry huggingface_exporter() {
  return {.name = "huggingface",
          .summary = "Folder for transformers and this program: safetensors, settings, tokenizer, model card",
          .run = run,
          .verify = verify};
}

}  // namespace capstan
