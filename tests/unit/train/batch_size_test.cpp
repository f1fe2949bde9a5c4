#include "capstan/train/batch_size.h"

#include <fstream>

#include "support/resource_limit.h"
#include "unit/train/tiny_run.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

// What RLIMIT_DATA counts: memory that can be written and belongs to nobody else.
rlim_t data_size() {
  std::ifstream file("/proc/self/status");
  std::string word;
  rlim_t kibibytes = 0;
  while (file >> word)
    if (word == "VmData:") file >> kibibytes;
  return kibibytes * 1024;
}

}  // namespace

TEST_CASE("a batch is halved until it fits, and an update keeps its size", "[train][batch_size]") {
#ifdef __SANITIZE_ADDRESS__
  SKIP("AddressSanitizer ends the process where memory runs out");
#endif
  const TempDir temp;
  TrainerConfig config = tiny_config(1);
  train(config, temp.path());  // threads and caches are there
  config.per_device_train_batch_size = 1 << 15;
  TrainingParts parts = tiny_parts();
  const World world = World::alone();
  const Collator collator{.eos_token_id = 256, .max_tokens = 16};
  const at::Tensor before = parts.model->state().at("decoder.transformer.wte.weight").clone();
  {
    const ResourceLimit limit(RLIMIT_DATA, data_size() + (rlim_t{512} << 20));
    find_batch_size({*parts.model, parts.processor, *parts.train, collator, c10::kCPU, world}, config);
  }
  CHECK(config.per_device_train_batch_size < 1 << 15);
  CHECK(config.per_device_train_batch_size >= 64);
  CHECK(config.per_device_train_batch_size * config.gradient_accumulation_steps == 1 << 15);
  CHECK(parts.model->state().at("decoder.transformer.wte.weight").equal(before));
  for (const at::Tensor& parameter : parts.model->parameters()) CHECK_FALSE(parameter.grad().defined());
}

TEST_CASE("a batch that fits stays", "[train][batch_size]") {
  const TempDir temp;
  TrainerConfig config = tiny_config(2);
  config.auto_find_batch_size = true;
  RunDir directory(temp.path());
  Trainer trainer(config, tiny_parts());
  CHECK(trainer.config().per_device_train_batch_size == 4);
  CHECK(trainer.config().gradient_accumulation_steps == 1);
  CHECK(trainer.fit(directory).step == 2);
}
