// onnx/encoder_model.onnx and onnx/decoder_model_merged.onnx with the names that Transformers.js and optimum expect.
#include "capstan/core/error.h"
#include "export/folder.h"
#include "export/onnx/models.h"
#include "export/supported.h"

namespace capstan {
namespace {

onnx::CrossAttention parse_cross_attention(const std::string& name) {
  if (name == "absorb") return onnx::CrossAttention::kAbsorb;
  if (name == "plain") return onnx::CrossAttention::kPlain;
  throw ConfigError("cross_attention is '" + name + "', expected 'absorb' or 'plain'");
}

std::vector<ExportedFile> run(Captioner& captioner, const ExportOptions& options) {
  const onnx::CrossAttention cross_attention = parse_cross_attention(options.cross_attention);
  const VisionEncoderDecoderConfig& config = captioner.model().config();
  require_emitter(config, "ONNX");
  const TensorMap state = captioner.model().state();
  std::vector<ExportedFile> files = write_settings(captioner, options.output);
  std::filesystem::create_directories(options.output / "onnx");
  const auto write = [&](const onnx::Graph& graph) {
    const std::filesystem::path file = std::filesystem::path("onnx") / (graph.name() + ".onnx");
    files.push_back({file, onnx::write_model(graph, options.output / file)});
  };
  write(onnx::vit_encoder(config.encoder, state));
  write(onnx::gpt2_decoder(config.decoder, state, cross_attention));
  return files;
}

}  // namespace

ExporterEntry onnx_exporter() {
  return {.name = "onnx",
          .summary = "ONNX encoder and merged decoder for onnxruntime, Transformers.js and optimum (onnx/*.onnx)",
          .run = run,
          .verify = nullptr};
}

}  // namespace capstan
