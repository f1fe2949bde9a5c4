// LoRA for the parity tests. IN holds pixel_values and labels; OUT gets logits, those of the merged model, the loss and
// the gradients of everything that is trained, under published names.
//   lora-load MODEL ADAPTER IN OUT           with an adapter from a folder
//   lora-make MODEL CONFIG.json ADAPTER IN OUT    with a fresh one whose B is drawn, which is saved to ADAPTER
#include <ATen/ATen.h>

#include <string_view>

#include "capstan/config/load.h"  // JSON is YAML
#include "capstan/models/adapters.h"
#include "capstan/models/pretrained.h"
#include "capstan/nn/init.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

at::Tensor logits(VisionEncoderDecoder& model, const TensorMap& in) {
  const auto& config = model.config();
  const at::Tensor ids = shift_tokens_right(in.at("labels"), config.pad_token_id, config.decoder_start_token_id);
  return model.decode(ids, model.encode(in.at("pixel_values")));
}

void write_figures(VisionEncoderDecoder& model, const std::filesystem::path& in_file,
                   const std::filesystem::path& out_file) {
  model.eval();
  const TensorMap in = read_safetensors(in_file);
  TensorMap out;
  const at::Tensor result = logits(model, in);
  out["logits"] = result.detach();
  out["loss"] = at::cross_entropy_loss(result.flatten(0, 1), in.at("labels").flatten(), {}, at::Reduction::Mean, -100);
  out["loss"].backward();
  for (const auto& item : model.named_parameters())
    if (item.value().grad().defined()) out["grad." + item.key()] = item.value().grad();
  out["loss"] = out["loss"].detach();
  const at::NoGradGuard no_grad;
  merge_adapter(model);
  out["merged_logits"] = logits(model, in);
  unmerge_adapter(model);
  out["unmerged_logits"] = logits(model, in);
  write_safetensors(out_file, out);
}

}  // namespace

int probe_lora(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "lora-load" && argc == 6) {
    const auto model = load_pretrained(argv[2]);
    load_adapter(*model, argv[3]);
    write_figures(*model, argv[4], argv[5]);
    return 0;
  }
  if (command != "lora-make" || argc != 7) return -1;
  const auto model = load_pretrained(argv[2]);
  const auto config = config::load<LoraConfig>(argv[3], {});
  add_adapter(*model, config, 5);
  for (const NamedLayer& item : linear_layers(*model))
    if (item.layer->has_lora()) init_normal(item.layer->lora_b(), 0.2, 6, item.name);
  save_adapter(*model, config, argv[4], argv[2]);
  write_figures(*model, argv[5], argv[6]);
  return 0;
}
