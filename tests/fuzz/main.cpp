// fuzz_inputs [COUNT [SEED [NAME]]]: damages COUNT inputs in turn over all targets (or those whose name begins with
// NAME) and opens each. Ends with 1 at the first that fails with anything but our error, and keeps it as
// fuzz-failure.bin.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/random.h"
#include "fuzz/fuzz.h"

namespace {

using capstan::fuzz::Target;
using Clock = std::chrono::steady_clock;

constexpr unsigned kMostSeconds = 20;  // for one input; sanitizers make everything several times slower

struct Counts {
  std::int64_t inputs = 0;
  std::int64_t refused = 0;
  double slowest = 0;  // seconds
};

void say_hang(int) {
  constexpr char text[] = "an input took too long; it is in fuzz-failure.bin\n";
  [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, text, sizeof text - 1);
  ::_exit(1);
}

std::vector<Target> make_targets(const capstan::fs::path& folder, const std::string& prefix) {
  std::vector<Target> targets;
  for (auto* const make :
       {capstan::fuzz::annotation_targets, capstan::fuzz::tokenizer_targets, capstan::fuzz::cache_targets,
        capstan::fuzz::picture_targets, capstan::fuzz::weight_targets}) {
    const capstan::fs::path own = folder / std::to_string(targets.size());
    capstan::fs::create_directories(own);
    for (Target& target : make(own)) targets.push_back(std::move(target));
  }
  std::erase_if(targets, [&](const Target& target) { return !target.name.starts_with(prefix); });
  return targets;
}

void keep(const std::string& bytes) { std::ofstream("fuzz-failure.bin", std::ios::binary) << bytes; }

// Whether `bytes` were opened or refused as they should.
bool open(const Target& target, const std::string& bytes, Counts& counts) {
  keep(bytes);  // should the process end here
  const auto begin = Clock::now();
  ::alarm(kMostSeconds);
  try {
    target.open(bytes);
  } catch (const capstan::Error&) {
    ++counts.refused;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: not our error: {}\n", target.name, error.what());
    return false;
  }
  ::alarm(0);
  ++counts.inputs;
  counts.slowest = std::max(counts.slowest, std::chrono::duration<double>(Clock::now() - begin).count());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t count = argc > 1 ? std::atoll(argv[1]) : 20'000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::signal(SIGALRM, say_hang);
  capstan::set_log_level(capstan::LogLevel::kError);
  const capstan::TempDir folder;
  const auto targets = make_targets(folder.path(), argc > 3 ? argv[3] : "");
  std::map<std::string, Counts> table;
  for (const Target& target : targets)
    for (const std::string& good : target.seeds)
      if (!open(target, good, table[target.name])) return 1;
  for (auto& [name, counts] : table)
    if (counts.refused > 0) {
      fmt::print(stderr, "{}: a good input was refused\n", name);
      return 1;
    }
  for (std::int64_t i = 0; i < count; ++i) {
    capstan::Random random(capstan::stream_seed(seed, "fuzz", static_cast<std::uint64_t>(i)));
    const Target& target = targets[static_cast<std::size_t>(i) % targets.size()];
    const std::string& good = target.seeds[random.below(target.seeds.size())];
    const std::string& other = target.seeds[random.below(target.seeds.size())];
    if (open(target, capstan::fuzz::mutate(good, other, random), table[target.name])) continue;
    fmt::print(stderr, "input {} of seed {}\n", i, seed);
    return 1;
  }
  fmt::print("{:<28} {:>8} {:>8} {:>12}\n", "target", "inputs", "refused", "slowest");
  for (const auto& [name, counts] : table)
    fmt::print("{:<28} {:>8} {:>8} {:>9.0f} ms\n", name, counts.inputs, counts.refused, 1000 * counts.slowest);
  fmt::print("{} damaged inputs, none crashed, hung or failed with another error\n", count);
  std::remove("fuzz-failure.bin");
  return 0;
}
