// Models for the parity tests:
//   logits MODEL IN OUT [WORDS]     one forward pass; with labels also the loss. WORDS: grads (every gradient),
//   bfloat16
//                                   or float16 (weights), eager, interpolate, recompute (gradient checkpointing)
//   text MODEL IN OUT [WORDS]       the same for a GPT-2 folder alone; labels are those of GPT2LMHeadModel
//   logits-cached MODEL IN OUT N    the same logits through the cache, N tokens at a time
//   save MODEL OUT [DTYPE]          load_pretrained, then save_pretrained
//   save-text MODEL OUT             the same for a GPT-2 folder alone
//   resize MODEL OUT SIZE           set_image_size
//   join ENCODER DECODER OUT SEED   load_encoder_decoder; prints what is new and what had no use
//   create MODEL OUT SEED           fresh weights for MODEL/config.json
//   describe MODEL                  describe_model
//   copy IN OUT                     read_safetensors, then write_safetensors
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/device.h"
#include "capstan/models/inspect.h"
#include "capstan/models/pretrained.h"
#include "support/probe_commands.h"

namespace {

using capstan::TensorMap;
using Arguments = std::vector<std::string>;

// IN holds pixel_values, and labels or decoder_input_ids.
at::Tensor decoder_inputs(const TensorMap& in, const capstan::VisionEncoderDecoderConfig& config) {
  if (in.contains("decoder_input_ids")) return in.at("decoder_input_ids");
  return capstan::shift_tokens_right(in.at("labels"), config.pad_token_id, config.decoder_start_token_id);
}

// Words behind the files of a command.
bool has_word(const Arguments& args, const std::string& word) {
  return std::find(args.begin() + 3, args.end(), word) != args.end();
}

c10::ScalarType wanted_dtype(const Arguments& args) {
  if (has_word(args, "bfloat16")) return at::kBFloat16;
  return has_word(args, "float16") ? at::kHalf : at::kFloat;
}

// In float32, which Python compares in.
void add_gradients(TensorMap& out, const torch::nn::Module& model) {
  for (const auto& item : model.named_parameters())
    if (item.value().grad().defined()) out["grad." + item.key()] = item.value().grad().to(at::kFloat);
}

at::Tensor mean_loss(const at::Tensor& logits_BTV, const at::Tensor& labels_BT) {
  return at::cross_entropy_loss(logits_BTV.to(at::kFloat).flatten(0, 1), labels_BT.flatten(), {}, at::Reduction::Mean,
                                -100);
}

int logits(const Arguments& args) {
  const auto model = capstan::load_pretrained(args.at(0));
  model->to(wanted_dtype(args));
  model->eval();
  if (has_word(args, "eager")) model->set_attn_implementation("eager");
  if (has_word(args, "recompute")) {
    model->train();  // the folder must have no dropout
    model->set_gradient_checkpointing(true);
  }
  const TensorMap in = capstan::read_safetensors(args.at(1));
  const at::Tensor hidden = model->encode(in.at("pixel_values"), has_word(args, "interpolate"));
  const at::Tensor result = model->decode(decoder_inputs(in, model->config()), hidden);
  TensorMap out{{"encoder_hidden", hidden.to(at::kFloat)}, {"logits", result.to(at::kFloat)}};
  if (in.contains("labels")) {
    const at::Tensor loss = mean_loss(result, in.at("labels"));
    out["loss"] = loss;
    if (has_word(args, "grads")) {
      loss.backward();
      add_gradients(out, *model);
    }
  }
  capstan::write_safetensors(args.at(2), out);
  return 0;
}

int text(const Arguments& args) {
  const auto model = capstan::load_gpt2(args.at(0));
  model->to(wanted_dtype(args));
  model->eval();
  if (has_word(args, "eager")) model->set_attn_implementation("eager");
  const at::Tensor ids = capstan::read_safetensors(args.at(1)).at("input_ids");
  const at::Tensor hidden = model->forward(ids, at::Tensor());
  const at::Tensor result = model->lm_head(hidden);
  // GPT2LMHeadModel(labels=input_ids): each token is predicted from those before it.
  const at::Tensor loss = mean_loss(result.narrow(1, 0, ids.size(1) - 1), ids.narrow(1, 1, ids.size(1) - 1));
  TensorMap out{{"hidden", hidden.to(at::kFloat)}, {"logits", result.to(at::kFloat)}, {"loss", loss}};
  if (has_word(args, "grads")) {
    loss.backward();
    add_gradients(out, *model);
  }
  capstan::write_safetensors(args.at(2), out);
  return 0;
}

int logits_cached(const Arguments& args) {
  const at::NoGradGuard no_grad;
  const auto model = capstan::load_pretrained(args.at(0));
  model->eval();
  const TensorMap in = capstan::read_safetensors(args.at(1));
  const at::Tensor ids = decoder_inputs(in, model->config());
  const std::int64_t step = std::stoll(args.at(3));
  at::Tensor hidden = model->encode(in.at("pixel_values"));
  capstan::Gpt2Cache cache;
  cache.capacity = ids.size(1);
  std::vector<at::Tensor> parts;
  for (std::int64_t at = 0; at < ids.size(1); at += step) {
    parts.push_back(model->decode(ids.narrow(1, at, std::min(step, ids.size(1) - at)), hidden, &cache));
    hidden = at::Tensor();  // from here on the cache must be enough
  }
  capstan::write_safetensors(args.at(2), {{"logits", at::cat(parts, 1)}});
  return 0;
}

int save(const Arguments& args) {
  const auto model = capstan::load_pretrained(args.at(0));
  if (args.size() > 2) model->to(capstan::parse_dtype(args[2]));
  capstan::save_pretrained(*model, args.at(1));
  return 0;
}

int save_text(const Arguments& args) {
  capstan::save_gpt2(*capstan::load_gpt2(args.at(0)), args.at(1));
  return 0;
}

int resize(const Arguments& args) {
  const auto model = capstan::load_pretrained(args.at(0));
  model->set_image_size(std::stoi(args.at(2)));
  capstan::save_pretrained(*model, args.at(1));
  return 0;
}

int join(const Arguments& args) {
  capstan::LoadReport report;
  const auto model = capstan::load_encoder_decoder(args.at(0), args.at(1), std::stoull(args.at(3)), &report);
  for (const std::string& name : report.newly_initialized) std::printf("new %s\n", name.c_str());
  for (const std::string& name : report.unexpected) std::printf("unexpected %s\n", name.c_str());
  capstan::save_pretrained(*model, args.at(2));
  return 0;
}

int create(const Arguments& args) {
  const auto config = capstan::read_model_config(args.at(0));
  capstan::save_pretrained(*capstan::create_model(config, std::stoull(args.at(2))), args.at(1));
  return 0;
}

int describe(const Arguments& args) {
  std::fputs(capstan::describe_model(args.at(0)).c_str(), stdout);
  return 0;
}

int copy(const Arguments& args) {
  capstan::write_safetensors(args.at(1), capstan::read_safetensors(args.at(0)));
  return 0;
}

}  // namespace

int probe_model(int argc, char** argv) {
  static const std::map<std::string, int (*)(const Arguments&)> commands{
      {"logits", logits},       {"logits-cached", logits_cached},
      {"text", text},           {"save", save},
      {"save-text", save_text}, {"resize", resize},
      {"join", join},           {"create", create},
      {"describe", describe},   {"copy", copy}};
  const auto command = commands.find(argc > 1 ? argv[1] : "");
  if (command == commands.end()) return -1;
  return command->second(Arguments(argv + 2, argv + argc));
}
