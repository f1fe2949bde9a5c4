// SLURM's variables: every task of a step knows its number, their number, and the hosts in a notation of brackets.
#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "parallel/variables.h"

namespace capstan {
namespace {

constexpr std::int64_t kFirstPort = 15000;  // below the ports that Linux hands out by itself (32768 and up)
constexpr std::int64_t kPorts = 15000;
constexpr std::int64_t kMostJobs = std::int64_t{1} << 40;
constexpr int kMostTasks = 1 << 16;

// srun sets these; the batch script has the job's variables only and is not one of the ranks.
bool inside_step(const Lookup& lookup) {
  for (const char* name : {"SLURM_STEP_ID", "SLURM_STEPID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS"})
    if (read_text(lookup, name)) return true;
  return false;
}

// The first of the variables that is set, as (name, text).
std::optional<std::pair<std::string, std::string>> first_of(const Lookup& lookup, std::vector<const char*> names) {
  for (const char* name : names)
    if (auto text = read_text(lookup, name)) return std::pair{std::string(name), *text};
  return std::nullopt;
}

std::string master_host(const Lookup& lookup) {
  if (auto given = read_text(lookup, "MASTER_ADDR")) return *given;
  const auto nodes = first_of(lookup, {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"});
  if (!nodes) {
    throw ConfigError(
        "SLURM_STEP_NODELIST is not set although SLURM_PROCID is: without it the ranks cannot find rank 0. Start the "
        "program with srun, or set MASTER_ADDR to the host of task 0.");
  }
  return first_slurm_host(nodes->second, nodes->first);
}

// Every task must come to the same port without asking, and two steps of a job should not meet at one.
int master_port(const Lookup& lookup) {
  if (const auto given = read_number(lookup, "MASTER_PORT", 1, kMostPorts)) return static_cast<int>(*given);
  const auto job = read_number(lookup, "SLURM_JOB_ID", 0, kMostJobs);
  if (!job) {
    throw ConfigError(
        "SLURM_JOB_ID is not set although SLURM_PROCID is: the port of rank 0 follows from it. Start the program with "
        "srun, or set MASTER_PORT to a free port of the first host.");
  }
  const std::int64_t step = read_number(lookup, "SLURM_STEP_ID", 0, std::int64_t{1} << 32).value_or(0);
  return static_cast<int>(kFirstPort + (*job + 97 * step) % kPorts);
}

int tasks_of_this_node(const Lookup& lookup, int local_rank, int size) {
  const auto tasks = first_of(lookup, {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"});
  const auto node = read_number(lookup, "SLURM_NODEID", 0, kMostRanks);
  if (tasks && node) {
    const std::vector<int> counts = slurm_tasks_per_node(tasks->second, tasks->first);
    if (*node < static_cast<std::int64_t>(counts.size()))
      return std::max(local_rank + 1, counts[static_cast<std::size_t>(*node)]);
  }
  const auto per_node = read_number(lookup, "SLURM_NTASKS_PER_NODE", 1, kMostTasks);
  return std::max(local_rank + 1, std::min(size, static_cast<int>(per_node.value_or(local_rank + 1))));
}

[[noreturn]] void bad_list(std::string_view text, const std::string& variable, const char* expected) {
  throw ConfigError(fmt::format(
      "the environment variable {} is '{}'; expected {}. Set MASTER_ADDR and MASTER_PORT to the host of task 0 and a "
      "free port there, and it is not read.",
      variable, text, expected));
}

}  // namespace

std::string first_slurm_host(std::string_view nodes, const std::string& variable) {
  const char* expected = "a list of hosts such as gpu[003-005,9],login";
  std::string host;
  for (std::size_t at = 0; at < nodes.size() && nodes[at] != ','; ++at) {
    if (nodes[at] == ']') bad_list(nodes, variable, expected);
    if (nodes[at] != '[') {
      host += nodes[at];
      continue;
    }
    const std::size_t close = nodes.find(']', at);
    const std::size_t end = nodes.find_first_of(",-]", at);
    if (close == std::string_view::npos || end == at + 1) bad_list(nodes, variable, expected);
    host += nodes.substr(at + 1, end - at - 1);
    at = close;
  }
  host = std::string(trim(host));
  if (host.empty()) bad_list(nodes, variable, expected);
  return host;
}

std::vector<int> slurm_tasks_per_node(std::string_view text, const std::string& variable) {
  const char* expected = "task counts such as 2(x3),1";
  std::vector<int> counts;
  for (const std::string& part : split(text, ',')) {
    const std::size_t open = part.find("(x");
    const int tasks = static_cast<int>(parse_number(variable, part.substr(0, open), 1, kMostTasks));
    std::int64_t nodes = 1;
    if (open != std::string::npos) {
      if (part.back() != ')') bad_list(text, variable, expected);
      nodes = parse_number(variable, part.substr(open + 2, part.size() - open - 3), 1, kMostTasks);
    }
    counts.insert(counts.end(), static_cast<std::size_t>(nodes), tasks);
  }
  return counts;
}

std::optional<WorldEnvironment> slurm_environment(const Lookup& lookup) {
  if (!read_text(lookup, "SLURM_PROCID") || !inside_step(lookup)) return std::nullopt;
  const auto tasks = first_of(lookup, {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"});
  if (!tasks) {
    throw ConfigError(
        "SLURM_NTASKS is not set although SLURM_PROCID is: the number of ranks is unknown. Start the program with "
        "srun --ntasks N, or unset SLURM_PROCID for a run on this machine alone.");
  }
  WorldEnvironment world;
  world.size = static_cast<int>(parse_number(tasks->first, tasks->second, 1, kMostRanks));
  if (world.size == 1) return std::nullopt;
  world.rank = static_cast<int>(*read_number(lookup, "SLURM_PROCID", 0, world.size - 1));
  const auto local = read_number(lookup, "SLURM_LOCALID", 0, world.size - 1);
  if (!local) {
    throw ConfigError(
        "SLURM_LOCALID is not set although SLURM_PROCID is: it chooses the GPU of this task. Start the program with "
        "srun, or unset SLURM_PROCID for a run on this machine alone.");
  }
  world.local_rank = static_cast<int>(*local);
  world.local_size = tasks_of_this_node(lookup, world.local_rank, world.size);
  world.master_addr = master_host(lookup);
  world.master_port = master_port(lookup);
  world.restart_count = static_cast<int>(read_number(lookup, "SLURM_RESTART_COUNT", 0, 1 << 30).value_or(0));
  return world;
}

}  // namespace capstan
