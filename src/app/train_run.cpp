// capstan train: a cache, a model and a run folder for the trainer, in one stage or several.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "app/training_model.h"
#include "capstan/app/build.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/config/load.h"
#include "capstan/config/write.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/models/pretrained.h"
#include "capstan/report/config_keys.h"
#include "capstan/train/freeze.h"

namespace capstan::app {
namespace {

constexpr const char* kBaseFolder = "base";

// An adapter is of use with the model under it only. Where that is in no folder yet, the run keeps a copy.
void save_base(const TrainingParts& parts, const fs::path& output) {
  const fs::path folder = output / kBaseFolder;
  if (!parts.lora || fs::path(parts.base_model) != folder || fs::exists(folder / "config.json")) return;
  save_pretrained(*parts.model, folder);
  parts.tokenizer->save(folder);
  parts.processor.save_pretrained(folder);
}

GenerationConfig generation_for(const TrainRun& run, const VisionEncoderDecoderConfig& model) {
  GenerationConfig generation = run.generation;
  generation.decoder_start_token_id = model.decoder_start_token_id;
  generation.eos_token_id = model.eos_token_id;
  generation.pad_token_id = model.pad_token_id;
  generation.bos_token_id = model.bos_token_id;
  return generation;
}

TrainingParts build_parts(const TrainRun& run, const std::shared_ptr<const World>& world, c10::Device device) {
  TrainingParts parts;
  parts.device = device;
  parts.world = world;
  parts.parallel = run.parallel;
  parts.configuration = config::to_yaml(run);
  const auto train = std::make_shared<const Cache>(run.data, "train");
  const auto splits = Cache::splits(run.data);
  if (std::find(splits.begin(), splits.end(), "validation") != splits.end())
    parts.validation = std::make_shared<const Cache>(run.data, "validation");
  parts.train = train;
  parts.tokenizer = train->tokenizer();
  parts.processor = ImageProcessor(train->processor());
  TrainingModel made = make_training_model(run, *parts.tokenizer, train->processor());
  parts.model = std::move(made.model);
  if (run.model.lora.r > 0) parts.lora = run.model.lora;
  parts.base_model = made.base.empty() ? (fs::path(run.output) / kBaseFolder).string() : made.base;
  parts.generation = generation_for(run, parts.model->config());
  return parts;
}

// What a run that goes on does otherwise than before, so that nothing changes unnoticed.
void explain_changes(const TrainRun& run, const std::string& configuration) {
  const fs::path path = fs::path(run.output) / "config.yaml";
  if (run.resume == "never" || !fs::exists(path) || list_checkpoints(run.output).empty()) return;
  const auto before = report::flatten(config::parse_yaml(read_file(path), path.string()));
  const auto now = report::flatten(config::parse_yaml(configuration, "the configuration"));
  constexpr std::string_view kOrder[] = {"train.seed", "train.captions", "train.captions_per_image",
                                         "train.group_by_length"};
  for (const auto& difference : report::differences(before, now)) {
    const bool reorders = std::find(std::begin(kOrder), std::end(kOrder), difference.key) != std::end(kOrder);
    log_info(
        fmt::format("changed since the run was started: {}: {} -> {}{}", difference.key, difference.a, difference.b,
                    reorders ? " (another order of the data: in this epoch some captions come twice, some not)" : ""));
  }
}

TrainResult run_stage(const TrainRun& run, const std::shared_ptr<const World>& world, c10::Device device,
                      bool dry_run) {
  TrainingParts parts = build_parts(run, world, device);
  const TrainingParts kept = parts;
  const bool main = world->is_main();
  Trainer trainer(run.train, std::move(parts));  // refuses parts that do not fit each other
  if (main) log_info(trainable_text(count_parameters(*kept.model)));
  if (dry_run) {
    log_info(fmt::format("dry run: {} captions of {} images, {} updates, to {}", kept.train->num_captions(),
                         kept.train->num_images(), trainer.num_steps(), run.output));
    return {};
  }
  RunDir directory(run.output, main);
  if (main) explain_changes(run, kept.configuration);
  trainer.restore(directory, run.resume);
  if (main) {
    save_base(kept, run.output);
    directory.write_config(kept.configuration);
  }
  world->barrier("the run's folder");
  return trainer.fit(directory);
}

// Whether an earlier start came to the end of this stage; its newest checkpoint says so.
bool is_finished(const std::string& output) {
  const auto checkpoints = list_checkpoints(output);
  if (checkpoints.empty()) return false;
  const fs::path path = checkpoints.back().path / "trainer_state.json";
  if (!fs::exists(path)) return false;
  const auto state = read_json(path);
  return state.value("global_step", std::int64_t{0}) >= state.value("max_steps", std::int64_t{1}) ||
         !state.value("ended", "").empty();
}

TrainResult run_stages(const TrainRun& run, const std::shared_ptr<const World>& world, c10::Device device,
                       bool dry_run) {
  TrainResult result;
  const std::size_t count = run.resolved_stages.size();
  for (std::size_t i = 0; i < count; ++i) {
    const TrainRun& stage = run.resolved_stages[i];
    if (dry_run && i > 0) {
      log_info(fmt::format("dry run: stage {} of {}, {}, begins with what the one before leaves", i + 1, count,
                           run.stages[i].name));
      continue;
    }
    if (i + 1 < count && !dry_run && is_finished(stage.output)) continue;
    if (world->is_main()) log_info(fmt::format("stage {} of {}: {}", i + 1, count, run.stages[i].name));
    result = run_stage(stage, world, device, dry_run);
    if (result.stopped) break;
  }
  return result;
}

// Ranks of a host share its GPUs out in order.
c10::Device device_of(const TrainRun& run, const WorldEnvironment& environment) {
  const bool wants_gpu = run.device == "auto" || run.device == "cuda";
  if (!wants_gpu) {
    if (environment.size > 1 && run.device != "cpu")
      throw ConfigError(
          fmt::format("device: found '{}', but {} processes cannot share one GPU; expected auto, cuda or "
                      "cpu",
                      run.device, environment.size));
    return parse_device(run.device);
  }
  if (environment.size == 1 || !at::hasCUDA()) return parse_device(run.device);
  return parse_device(fmt::format("cuda:{}", environment.local_rank));
}

}  // namespace

int processes_to_start(const TrainRun& run) {
  if (world_environment()) return 1;
  int number = 1;
  if (run.parallel.processes == "auto") {
    const bool gpus = at::hasCUDA() && (run.device == "auto" || run.device == "cuda");
    return gpus ? std::max(1, static_cast<int>(at::getNumGPUs())) : 1;
  }
  std::from_chars(run.parallel.processes.data(), run.parallel.processes.data() + run.parallel.processes.size(), number);
  return number;
}

TrainResult run_train(const TrainRun& run, bool dry_run) {
  if (run.num_threads > 0) at::set_num_threads(run.num_threads);
  const WorldEnvironment environment = world_environment().value_or(WorldEnvironment{});
  const c10::Device device = device_of(run, environment);
  if (environment.rank > 0) set_log_level(LogLevel::kWarning);  // the main process speaks for all
  const auto world = std::make_shared<const World>(
      environment.size == 1 ? World::alone() : World::connect(environment, device, run.parallel.ddp_timeout));
  try {
    return run.stages.empty() ? run_stage(run, world, device, dry_run) : run_stages(run, world, device, dry_run);
  } catch (const std::exception& error) {
    world->announce_failure(error.what());
    throw;
  }
}

}  // namespace capstan::app
