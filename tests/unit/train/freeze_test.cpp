// Which parameters are trained, and what that means for gradients, the optimizer and checkpoints.
#include "capstan/train/freeze.h"

#include <algorithm>
#include <set>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/models/adapters.h"
#include "capstan/train/param_groups.h"
#include "capstan/train/throughput.h"
#include "capstan/train/trainer.h"
#include "support/catch.h"
#include "unit/train/tiny_run.h"

using namespace capstan;

namespace {

std::set<std::string> trained(const std::vector<std::string>& freeze, const std::vector<std::string>& unfreeze) {
  const auto model = create_model(testing::tiny_model_config(), 3);
  apply_freeze(*model, freeze, unfreeze);
  std::set<std::string> names;
  for (const auto& parameter : trainable_parameters(*model, TrainerConfig{})) names.insert(parameter.name);
  return names;
}

TrainerConfig eight_steps() {
  TrainerConfig config = testing::tiny_config(8);
  config.warmup_steps = 0;
  config.logging_steps = TrainerConfig{}.logging_steps;
  config.save_steps = "4";
  config.save_total_limit = 0;
  config.eval_strategy = "steps";
  config.eval_steps = "4";
  return config;
}

TrainingParts parts_with(const std::optional<LoraConfig>& lora = {}) {
  TrainingParts parts = testing::tiny_parts();
  parts.lora = lora;
  parts.base_model = "base";
  if (lora) add_adapter(*parts.model, *lora, 5);
  return parts;
}

TrainResult train(const TrainerConfig& config, const fs::path& run, const std::optional<LoraConfig>& lora = {}) {
  RunDir directory(run);
  Trainer trainer(config, parts_with(lora));
  trainer.restore(directory, "auto");
  return trainer.fit(directory);
}

// Every tensor file below the folder, with its bytes.
std::map<std::string, std::string> tensors(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".safetensors")
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  return files;
}

// 8 steps in one go, and 4 steps, a new process's worth of objects, and the other 4.
void check_exact_resume(const TrainerConfig& config, const std::optional<LoraConfig>& lora) {
  const TempDir straight, resumed;
  train(config, straight.path(), lora);
  train(config, resumed.path(), lora);
  fs::remove_all(resumed.path() / "checkpoint-8");
  train(config, resumed.path(), lora);
  CHECK(tensors(straight.path() / "checkpoint-8") == tensors(resumed.path() / "checkpoint-8"));
  CHECK(tensors(straight.path() / "checkpoint-4") != tensors(straight.path() / "checkpoint-8"));
}

const LoraConfig kLora{.r = 2,
                       .lora_alpha = 4,
                       .lora_dropout = 0.1,
                       .target_modules = {"query", "c_attn"},
                       .modules_to_save = {"ln_cross_attn"}};

}  // namespace

TEST_CASE("freeze and unfreeze take names, globs and regular expressions", "[train][freeze]") {
  const auto all = trained({}, {});
  const auto decoder = trained({"encoder"}, {});
  CHECK(std::ranges::all_of(decoder, [](const auto& name) { return name.starts_with("decoder."); }));
  CHECK(decoder.size() < all.size());
  CHECK(trained({"*"}, {"encoder.layernorm"}) ==
        std::set<std::string>{"encoder.layernorm.bias", "encoder.layernorm.weight"});
  CHECK(trained({"regex:.*"}, {"decoder.*.ln_f.*"}).size() == 2);
  CHECK(trained({"encoder", "decoder"}, {"regex:.*\\.h\\.0\\.crossattention\\.c_attn\\.(weight|bias)"}).size() == 2);
}

TEST_CASE("a pattern that matches nothing, or leaves nothing, is refused", "[train][freeze]") {
  CHECK_THROWS_AS(trained({"encodr"}, {}), ConfigError);
  CHECK_THROWS_WITH(trained({"encodr"}, {}),
                    ContainsSubstring("freeze: 'encodr' matches no parameter. Did you mean 'encoder'?"));
  CHECK_THROWS_WITH(trained({"encoder"}, {"decoder.transformer.ln_g"}),
                    ContainsSubstring("unfreeze: 'decoder.transformer.ln_g' matches no parameter. Did you mean "
                                      "'decoder.transformer.ln_f'?"));
  CHECK_THROWS_WITH(trained({"regex:["}, {}), ContainsSubstring("not a regular expression"));
  CHECK_THROWS_WITH(trained({"*"}, {}), ContainsSubstring("every parameter is frozen"));
}

TEST_CASE("a weight with an adapter cannot be trained itself", "[train][freeze]") {
  const auto model = create_model(testing::tiny_model_config(), 3);
  add_adapter(*model, kLora, 1);
  CHECK_THROWS_WITH(apply_freeze(*model, {}, {"decoder"}), ContainsSubstring("has an adapter and cannot be trained"));
}

TEST_CASE("a frozen encoder costs no graph and no optimizer state", "[train][freeze]") {
  auto parts = parts_with();
  auto config = eight_steps();
  config.freeze = {"encoder"};
  const auto model = parts.model;
  const auto all = count_parameters(*model);
  CHECK(all.trainable == all.total);
  const Trainer trainer(config, std::move(parts));
  CHECK_FALSE(trains_encoder(*model));
  const auto some = count_parameters(*model);
  CHECK(some.total == all.total);
  CHECK(some.trainable < all.total);
  CHECK(trainable_text({.trainable = 1234, .total = 100000}) == "trainable parameters: 1,234 of 100,000 (1.23 %)");
  CHECK_THAT(peak_memory_text(c10::kCPU), ContainsSubstring("peak memory: "));

  const TempDir run;
  train(config, run.path());
  const TensorMap state = read_safetensors(run.path() / "checkpoint-8/optimizer.safetensors");
  std::int64_t moments = 0;
  for (const auto& [name, tensor] : state) {
    CHECK(name.find("encoder.") != name.find('.') + 1);
    if (name.starts_with("exp_avg.")) moments += tensor.numel();
  }
  CHECK(moments == some.trainable);
  const TensorMap first = read_safetensors(run.path() / "checkpoint-4/model.safetensors");
  for (const auto& [name, tensor] : read_safetensors(run.path() / "checkpoint-8/model.safetensors"))
    CHECK(at::equal(tensor, first.at(name)) == name.starts_with("encoder."));
}

TEST_CASE("a run with frozen parts, an adapter or recomputed blocks resumes bit for bit", "[train][freeze]") {
  auto config = eight_steps();
  SECTION("frozen") { config.freeze = {"encoder", "*.wte.*"}; }
  SECTION("recomputed") { config.gradient_checkpointing = true; }
  check_exact_resume(config, {});
}

TEST_CASE("a run with an adapter resumes bit for bit", "[train][lora]") {
  auto config = eight_steps();
  config.unfreeze = {"decoder.transformer.ln_f"};
  config.gradient_checkpointing = GENERATE(false, true);
  check_exact_resume(config, kLora);
}

TEST_CASE("recomputing blocks changes no weight", "[train][recompute]") {
  auto config = eight_steps();
  config.bf16 = GENERATE(false, true);
  const TempDir kept, again;
  train(config, kept.path());
  config.gradient_checkpointing = true;
  train(config, again.path());
  CHECK(tensors(kept.path() / "checkpoint-8") == tensors(again.path() / "checkpoint-8"));
}

TEST_CASE("a checkpoint with an adapter is an ordinary model beside the adapter", "[train][lora]") {
  const TempDir run;
  auto config = eight_steps();
  const TrainResult result = train(config, run.path(), kLora);
  const auto merged = create_model(testing::tiny_model_config(0.1), 1);
  merged->load_state(read_safetensors(result.checkpoint / "model.safetensors"));
  const auto applied = create_model(testing::tiny_model_config(0.1), 11);  // the base
  const TensorMap base_state = applied->state();
  const at::Tensor before = base_state.at("decoder.transformer.h.0.attn.c_attn.weight").clone();
  apply_adapter(*applied, result.checkpoint / "adapter");
  const TensorMap expected = merged->state();
  for (const auto& [name, tensor] : applied->state()) {
    CAPTURE(name);
    CHECK(at::equal(tensor, expected.at(name)));
  }
  CHECK_FALSE(at::equal(before, expected.at("decoder.transformer.h.0.attn.c_attn.weight")));
  const auto state = read_safetensors(result.checkpoint / "optimizer.safetensors");
  for (const auto& [name, tensor] : state)
    CHECK((name.find(".lora_") != std::string::npos || name.find(".ln_cross_attn.") != std::string::npos));
}

TEST_CASE("a run does not go on with another adapter or other weights under it", "[train][lora]") {
  const TempDir run;
  train(eight_steps(), run.path(), kLora);
  const auto refused = [&](TrainingParts parts) {
    RunDir directory(run.path());
    Trainer trainer(eight_steps(), std::move(parts));
    CHECK_THROWS_WITH(trainer.restore(directory, "auto"), ContainsSubstring("another adapter (model.lora)"));
  };
  LoraConfig other = kLora;
  other.r = 3;
  refused(parts_with(other));
  refused(parts_with());
  TrainingParts parts = parts_with();
  parts.model = create_model(testing::tiny_model_config(0.1), 12);
  parts.lora = kLora;
  add_adapter(*parts.model, kLora, 5);
  refused(std::move(parts));
}
