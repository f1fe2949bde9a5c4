#include "capstan/train/run_facts.h"

#include <ATen/Parallel.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>

#include "capstan/core/strings.h"
#include "capstan/core/version.h"
#include "capstan/train/freeze.h"
#include "capstan/train/trainer.h"

namespace capstan {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown";
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> run_facts(const TrainingParts& parts, const TrainerConfig& config) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const ParameterCount count = count_parameters(*parts.model);
  return {{"started", fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(now)))},
          {"host", host_name()},
          {"capstan", version()},
          {"LibTorch", torch_version()},
          {"device", parts.device.str()},
          {"processor", processor_name()},
          {"processes", std::to_string(parts.world->size())},
          {"threads", std::to_string(at::get_num_threads())},
          {"precision", config.bf16   ? "bf16"
                        : config.fp16 ? "fp16"
                                      : "fp32"},
          {"parameters", fmt::format("{} of {} trained", count.trainable, count.total)},
          {"training captions", std::to_string(parts.train->num_captions())},
          {"training pictures", std::to_string(parts.train->num_images())}};
}

}  // namespace capstan
