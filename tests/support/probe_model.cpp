// Models for the parity tests:
//   logits MODEL IN OUT [grads]     one forward pass; with labels also the loss, and every gradient
//   logits-cached MODEL IN OUT N    the same logits through the cache, N tokens at a time
//   save MODEL OUT                  load_pretrained, then save_pretrained
//   join ENCODER DECODER OUT SEED   load_encoder_decoder; prints what is new and what had no use
//   create MODEL OUT SEED           fresh weights for MODEL/config.json
//   describe MODEL                  describe_model
//   copy IN OUT                     read_safetensors, then write_safetensors
#include <ATen/ATen.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
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

int logits(const Arguments& args) {
  const auto model = capstan::load_pretrained(args.at(0));
  model->eval();
  const TensorMap in = capstan::read_safetensors(args.at(1));
  TensorMap out;
  const at::Tensor hidden = model->encode(in.at("pixel_values"));
  const at::Tensor result = model->decode(decoder_inputs(in, model->config()), hidden);
  out["encoder_hidden"] = hidden;
  out["logits"] = result;
  if (in.contains("labels")) {
    const at::Tensor loss =
        at::cross_entropy_loss(result.flatten(0, 1), in.at("labels").flatten(), {}, at::Reduction::Mean, -100);
    out["loss"] = loss;
    if (args.size() > 3 && args[3] == "grads") {
      loss.backward();
      for (const auto& item : model->named_parameters())
        if (item.value().grad().defined()) out["grad." + item.key()] = item.value().grad();
    }
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
  capstan::save_pretrained(*capstan::load_pretrained(args.at(0)), args.at(1));
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
      {"logits", logits}, {"logits-cached", logits_cached}, {"save", save}, {"join", join},
      {"create", create}, {"describe", describe},           {"copy", copy}};
  const auto command = commands.find(argc > 1 ? argv[1] : "");
  if (command == commands.end()) return -1;
  return command->second(Arguments(argv + 2, argv + argc));
}
