// Model folders, damaged one file at a time: opened, described, and every weight read.
#include <ATen/ATen.h>

#include <cstring>

#include "capstan/checkpoint/torch_archive.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/generate/options.h"
#include "capstan/models/inspect.h"
#include "capstan/models/pretrained.h"
#include "fuzz/fuzz.h"
#include "support/torch_archive.h"

namespace capstan::fuzz {
namespace {

using namespace capstan::testing;

VisionEncoderDecoderConfig tiny_config() {
  VisionEncoderDecoderConfig config;
  config.encoder.hidden_size = 8;
  config.encoder.num_hidden_layers = 1;
  config.encoder.num_attention_heads = 2;
  config.encoder.intermediate_size = 8;
  config.encoder.image_size = 8;
  config.encoder.patch_size = 4;
  config.decoder.vocab_size = 12;
  config.decoder.n_positions = 8;
  config.decoder.n_embd = 8;
  config.decoder.n_layer = 1;
  config.decoder.n_head = 2;
  config.decoder_start_token_id = config.bos_token_id = config.eos_token_id = config.pad_token_id = 0;
  return config;
}

// A number that depends on every byte of every tensor.
double sum_of(const TensorMap& tensors) {
  double sum = 0;
  for (const auto& [name, tensor] : tensors) sum += tensor.to(at::kDouble).nan_to_num().sum().item<double>();
  return sum;
}

// One that opened is also read, described and, by its configuration, ready to run.
void open_folder(const fs::path& folder) {
  describe_model(folder);
  const auto model = load_pretrained(folder);
  read_generation_config(folder);
  [[maybe_unused]] const volatile double sum = sum_of(model->state());
}

// A folder whose file `name` is replaced by damaged bytes while it is opened.
Target file_target(const fs::path& folder, const std::string& name) {
  const std::string good = read_file(folder / name);
  return {"weights " + name, {good}, [=](const std::string& bytes) {
            put(folder / name, bytes);
            try {
              open_folder(folder);
            } catch (...) {
              put(folder / name, good);
              throw;
            }
            put(folder / name, good);
          }};
}

// Only the JSON is damaged; the size in front of it is right, so that the parser sees all of it.
Target header_target(const fs::path& folder) {
  const std::string good = read_file(folder / "model.safetensors");
  std::uint64_t size = 0;
  std::memcpy(&size, good.data(), sizeof size);
  const std::string data = good.substr(8 + size);
  return {"weights header", {good.substr(8, size)}, [=](const std::string& bytes) {
            put(folder / "model.safetensors", little_endian(bytes.size(), 8) + bytes + data);
            open_folder(folder);
          }};
}

void write_folder(const fs::path& folder) { save_pretrained(*create_model(tiny_config(), 1), folder); }

std::vector<Target> archive_targets(const fs::path& folder, const TensorMap& state) {
  const fs::path file = folder / "weights.bin";
  const auto open = [=](const std::string& bytes) {
    put(file, bytes);
    [[maybe_unused]] const volatile double sum = sum_of(read_torch_archive(file));
  };
  const TensorMap few{{"a", at::ones({2, 3})}, {"b", at::ones({4}).to(at::kHalf)}, {"c", at::ones({2}).gt(0)}};
  const std::string pickle = pickled_dict(pickled("a"), TensorPickle{}.bytes());
  Target pickles{"weights pickle", {pickle}, [=](const std::string& bytes) { open(archive_of(bytes)); }};
  Target archives{"weights archive", {torch_file(few), archive_of(pickle)}, open};
  const fs::path model = folder / "bin";
  write_folder(model);
  fs::remove(model / "model.safetensors");
  put(model / "pytorch_model.bin", torch_file(state));
  return {std::move(pickles), std::move(archives), file_target(model, "pytorch_model.bin")};
}

}  // namespace

std::vector<Target> weight_targets(const fs::path& folder) {
  const TensorMap state = create_model(tiny_config(), 1)->state();
  for (const char* name : {"single", "header", "shards"}) write_folder(folder / name);
  const fs::path shards = folder / "shards";
  fs::rename(shards / "model.safetensors", shards / "one.safetensors");
  std::string index;
  for (const auto& [name, tensor] : state) index += (index.empty() ? "\"" : ",\"") + name + "\":\"one.safetensors\"";
  put(shards / "model.safetensors.index.json", "{\"metadata\":{\"total_size\":1},\"weight_map\":{" + index + "}}");
  std::vector<Target> targets{file_target(folder / "single", "model.safetensors"),
                              file_target(folder / "single", "config.json"),
                              file_target(folder / "single", "generation_config.json"),
                              header_target(folder / "header"), file_target(shards, "model.safetensors.index.json")};
  for (Target& target : archive_targets(folder, state)) targets.push_back(std::move(target));
  return targets;
}

}  // namespace capstan::fuzz
