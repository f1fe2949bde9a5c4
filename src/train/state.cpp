#include "capstan/train/state.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
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
#include "capstan/train/snapshot.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;

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
    refuse(fmt::format("{} samples an epoch, the data and its options now give {}", samples, expected.num_samples));
  if (identity.at("data") != expected.data) refuse("other data (as many captions, other content)");
}

Json guard_json(const GuardState& guard) {
  return {{"mean", guard.mean},           {"variance", guard.variance},
          {"count", guard.count},         {"skipped_in_row", guard.skipped_in_row},
          {"rollbacks", guard.rollbacks}, {"recent_skips", guard.recent_skips}};
}

GuardState parse_guard(const Json& json) {
  return {.mean = json.at("mean").get<double>(),
          .variance = json.at("variance").get<double>(),
          .count = json.at("count").get<std::int64_t>(),
          .skipped_in_row = json.at("skipped_in_row").get<std::int64_t>(),
          .rollbacks = json.at("rollbacks").get<std::int64_t>(),
          .recent_skips = json.at("recent_skips").get<std::vector<std::int64_t>>()};
}

Json early_stopping_json(const std::vector<EarlyStoppingState>& states) {
  Json list = Json::array();
  for (const EarlyStoppingState& state : states)
    list.push_back({{"best", state.best ? Json(*state.best) : Json()}, {"waited", state.waited}});
  return list;
}

TrainerState parse_state(const Json& json) {
  TrainerState state;
  state.global_step = json.at("global_step").get<std::int64_t>();
  state.position = json.at("position").get<std::int64_t>();
  state.tokens = json.at("num_input_tokens_seen").get<std::int64_t>();
  state.seconds = json.at("train_seconds").get<double>();
  state.ended = json.at("ended").get<std::string>();
  state.kept = json.at("kept").get<std::vector<std::int64_t>>();
  state.guard = parse_guard(json.at("guard"));
  for (const Json& entry : json.at("early_stopping"))
    state.early_stopping.push_back(
        {.best = entry.at("best").is_number() ? std::optional(entry["best"].get<double>()) : std::nullopt,
         .waited = entry.at("waited").get<std::int64_t>()});
  if (json.at("best_metric").is_number()) state.best_metric = json["best_metric"].get<double>();
  if (json.at("best_model_checkpoint").is_string())
    state.best_model_checkpoint = json["best_model_checkpoint"].get<std::string>();
  const Json& window = json.at("log_window");
  state.window = {.loss = window.at("loss").get<double>(),
                  .seconds = window.at("seconds").get<double>(),
                  .wait_seconds = window.at("wait_seconds").get<double>(),
                  .steps = window.at("steps").get<std::int64_t>(),
                  .captions = window.at("captions").get<std::int64_t>(),
                  .images = window.at("images").get<std::int64_t>(),
                  .tokens = window.at("tokens").get<std::int64_t>(),
                  .flops = window.at("flops").get<double>()};
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

std::string trainer_state_text(const TrainerState& state, const RunIdentity& identity, const TrainerConfig& config,
                               std::int64_t num_steps) {
  Json history = Json::array();
  for (const std::string& line : state.log_history) history.push_back(Json::parse(line));
  const LogWindow& window = state.window;
  const Json json = {
      {"global_step", state.global_step},
      {"max_steps", num_steps},
      {"epoch", static_cast<double>(state.position) / static_cast<double>(identity.num_samples)},
      {"position", state.position},
      {"num_input_tokens_seen", state.tokens},
      {"train_seconds", state.seconds},
      {"ended", state.ended},
      {"guard", guard_json(state.guard)},
      {"early_stopping", early_stopping_json(state.early_stopping)},
      {"metric_for_best_model", config.metric_for_best_model},
      {"best_metric", state.best_metric ? Json(*state.best_metric) : Json()},
      {"best_model_checkpoint", state.best_model_checkpoint.empty() ? Json() : Json(state.best_model_checkpoint)},
      {"identity",
       {{"model", identity.model},
        {"data", identity.data},
        {"num_samples", identity.num_samples},
        {"adapter", identity.adapter}}},
      {"kept", state.kept},
      {"log_window",
       {{"loss", window.loss},
        {"seconds", window.seconds},
        {"wait_seconds", window.wait_seconds},
        {"steps", window.steps},
        {"captions", window.captions},
        {"images", window.images},
        {"tokens", window.tokens},
        {"flops", window.flops}}},
      {"log_history", history}};
  return json.dump(2) + "\n";
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

TensorMap random_states(c10::Device device, const World& world) {
  const auto bytes = [](const at::Tensor& state) {
    return std::string(static_cast<const char*>(state.const_data_ptr()), state.nbytes());
  };
  TensorMap states;
  for (const auto& [name, own] : {std::pair{"cpu", c10::Device(c10::kCPU)}, std::pair{"device", device}}) {
    if (std::string_view(name) == "device" && device.is_cpu()) continue;
    const at::Tensor state = generator_state(own);
    const auto all = world.gather(bytes(state), "the random states of a checkpoint");
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      at::Tensor copy = at::empty({static_cast<std::int64_t>(all[rank].size())}, at::kByte);
      std::copy(all[rank].begin(), all[rank].end(), copy.mutable_data_ptr<std::uint8_t>());
      states[fmt::format("{}.{}", name, rank)] = copy;
    }
  }
  return states;
}

void load_random_states(c10::Device device, const World& world, std::uint64_t seed, const fs::path& directory) {
  const fs::path path = directory / kRandomFile;
  if (!fs::is_regular_file(path)) throw CheckpointError(fmt::format("{} is missing", path.string()));
  const TensorMap states = read_safetensors(path);
  const auto find = [&](const char* kind) { return states.find(fmt::format("{}.{}", kind, world.rank())); };
  const bool same_world =
      states.contains(fmt::format("cpu.{}", world.size() - 1)) && !states.contains(fmt::format("cpu.{}", world.size()));
  if (!same_world || (!device.is_cpu() && find("device") == states.end())) {
    if (world.is_main())
      log_info(fmt::format("{}: written by another number of processes or on another device; dropout draws new numbers",
                           path.string()));
    at::manual_seed(stream_seed(seed, "rank", static_cast<std::uint64_t>(world.rank())));
    return;
  }
  set_generator_state(c10::kCPU, find("cpu")->second);
  if (!device.is_cpu()) set_generator_state(device, find("device")->second);
}

}  // namespace capstan
