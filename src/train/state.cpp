#include "capstan/train/state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/random.h"
#include "capstan/core/torch_random.h"
#include "capstan/models/adapters.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kStateFile = "trainer_state.json";
constexpr const char* kRandomFile = "rng_state.safetensors";
constexpr std::int64_t kSampledImages = 1000;  // enough to tell data sets apart, quick for millions

std::string digest(const std::string& text) { return fmt::format("{:016x}", stable_hash(text)); }

Json read_state(const fs::path& path) {
  if (!fs::is_regular_file(path))
    throw CheckpointError(
        fmt::format("{} is missing: the folder holds a model but no training state. Start from it "
                    "with model.from_pretrained instead of resume.",
                    path.string()));
  Json json = Json::parse(read_file(path), nullptr, false);  // keeps the order of keys, which read_json does not
  if (!json.is_object()) throw CheckpointError(fmt::format("{}: broken JSON", path.string()));
  return json;
}

void require_same(const fs::path& path, const Json& identity, const RunIdentity& expected) {
  const auto refuse = [&](std::string_view what) {
    throw CheckpointError(
        fmt::format("{}: the checkpoint was trained with {}; it cannot be continued. Choose another "
                    "output folder, or go back to the old configuration.",
                    path.string(), what));
  };
  if (identity.at("model") != expected.model) refuse("a model of another shape");
  if (identity.value("adapter", "") != expected.adapter)
    refuse("another adapter (model.lora), or with one on other base weights (model.from_pretrained)");
  const auto samples = identity.at("num_samples").get<std::int64_t>();
  if (samples != expected.num_samples)
    refuse(fmt::format("{} captions an epoch, the data and train.captions now give {}", samples, expected.num_samples));
  if (identity.at("data") != expected.data) refuse("other data (as many captions, other content)");
}

TrainerState parse_state(const Json& json) {
  TrainerState state;
  state.global_step = json.at("global_step").get<std::int64_t>();
  state.position = json.at("position").get<std::int64_t>();
  state.skipped_in_row = json.at("skipped_in_row").get<std::int64_t>();
  if (json.at("best_metric").is_number()) state.best_metric = json["best_metric"].get<double>();
  if (json.at("best_model_checkpoint").is_string())
    state.best_model_checkpoint = json["best_model_checkpoint"].get<std::string>();
  const Json& window = json.at("log_window");
  state.window = {.loss = window.at("loss").get<double>(),
                  .seconds = window.at("seconds").get<double>(),
                  .steps = window.at("steps").get<std::int64_t>(),
                  .captions = window.at("captions").get<std::int64_t>()};
  for (const Json& line : json.at("log_history")) state.log_history.push_back(line.dump());
  return state;
}

// The checkpoint holds the weights under an adapter merged only, so a resumed run must bring the same ones again.
std::string adapter_digest(const VisionEncoderDecoder& model) {
  std::string text;
  for (const NamedLayer& item : linear_layers(model)) {
    if (!item.layer->has_lora()) continue;
    const at::Tensor weight = item.layer->weight.detach().cpu().contiguous();
    const std::string_view bytes(static_cast<const char*>(weight.const_data_ptr()), weight.nbytes());
    text += fmt::format("{} {} {} {}\n", item.name, item.layer->lora().rank, item.layer->lora().scale,
                        checksum_bytes(bytes));
  }
  return text.empty() ? text : digest(text);
}

}  // namespace

RunIdentity run_identity(const VisionEncoderDecoder& model, const Cache& cache, std::int64_t num_samples) {
  std::string shapes, data;
  for (const auto& [name, tensor] : model.state()) {
    shapes += name;
    for (const std::int64_t extent : tensor.sizes()) shapes += fmt::format(" {}", extent);
    shapes += "\n";
  }
  const std::int64_t stride = std::max<std::int64_t>(1, cache.num_images() / kSampledImages);
  for (std::int64_t image = 0; image < cache.num_images(); image += stride)
    data += cache.image_id(image) + "\n" + cache.caption(cache.first_caption(image)) + "\n";
  return {.model = digest(shapes), .data = digest(data), .num_samples = num_samples, .adapter = adapter_digest(model)};
}

void save_trainer_state(const TrainerState& state, const RunIdentity& identity, const TrainerConfig& config,
                        std::int64_t num_steps, const fs::path& directory) {
  Json history = Json::array();
  for (const std::string& line : state.log_history) history.push_back(Json::parse(line));
  const LogWindow& window = state.window;
  write_json(
      directory / kStateFile,
      {{"global_step", state.global_step},
       {"max_steps", num_steps},
       {"epoch", static_cast<double>(state.position) / static_cast<double>(identity.num_samples)},
       {"position", state.position},
       {"skipped_in_row", state.skipped_in_row},
       {"metric_for_best_model", config.metric_for_best_model},
       {"best_metric", state.best_metric ? Json(*state.best_metric) : Json()},
       {"best_model_checkpoint", state.best_model_checkpoint.empty() ? Json() : Json(state.best_model_checkpoint)},
       {"identity",
        {{"model", identity.model},
         {"data", identity.data},
         {"num_samples", identity.num_samples},
         {"adapter", identity.adapter}}},
       {"log_window",
        {{"loss", window.loss}, {"seconds", window.seconds}, {"steps", window.steps}, {"captions", window.captions}}},
       {"log_history", history}});
}

TrainerState load_trainer_state(const RunIdentity& expected, const fs::path& directory) {
  const fs::path path = directory / kStateFile;
  const Json json = read_state(path);
  try {
    require_same(path, json.at("identity"), expected);
    return parse_state(json);
  } catch (const Json::exception& error) {
    throw CheckpointError(fmt::format("{}: not a trainer state of this program: {}", path.string(), error.what()));
  }
}

void save_random_state(c10::Device device, const fs::path& directory) {
  TensorMap states{{"cpu", generator_state(c10::kCPU)}};
  if (!device.is_cpu()) states["device"] = generator_state(device);
  write_safetensors(directory / kRandomFile, states);
}

void load_random_state(c10::Device device, const fs::path& directory) {
  const fs::path path = directory / kRandomFile;
  if (!fs::is_regular_file(path)) throw CheckpointError(fmt::format("{} is missing", path.string()));
  const TensorMap states = read_safetensors(path);
  if (!states.contains("cpu")) throw CheckpointError(fmt::format("{}: holds no generator state 'cpu'", path.string()));
  set_generator_state(c10::kCPU, states.at("cpu"));
  if (device.is_cpu()) return;
  if (states.contains("device"))
    set_generator_state(device, states.at("device"));
  else
    log_warning(fmt::format("{}: has no state for {}; dropout will draw other numbers", path.string(), device.str()));
}

}  // namespace capstan
