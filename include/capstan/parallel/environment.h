// Which process of how many this is, as torchrun, SLURM or our own launcher said in environment variables.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capstan {

struct WorldEnvironment {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the processes of this host
  int local_size = 1;
  std::string master_addr;  // where rank 0, or torchrun's agent, serves the store
  int master_port = 0;
  bool agent_store = false;  // torchrun's agent serves it (TORCHELASTIC_USE_AGENT_STORE)
  int restart_count = 0;     // TORCHELASTIC_RESTART_COUNT: keeps the keys of an earlier attempt apart
  int master_socket = -1;    // a listening socket for rank 0 that the launcher bound (CAPSTAN_MASTER_SOCKET)
};

// The value of a variable, or nothing when it is not set.
using Lookup = std::function<std::optional<std::string>(const char* name)>;

// Reads RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and, where set, LOCAL_RANK and LOCAL_WORLD_SIZE (torchrun,
// Kubernetes operators, `capstan train` itself). Without them SLURM_PROCID, SLURM_NTASKS and SLURM_LOCALID inside a
// step that srun started with more than one task; there the first host of the node list is the master, the port follows
// from the job's number, and MASTER_ADDR and MASTER_PORT override both. Nothing when the process was started alone: the
// batch script of a SLURM job, and a step of one task, count as that. ConfigError, naming the variable, when only some
// are set or a value is impossible.
std::optional<WorldEnvironment> world_environment();
std::optional<WorldEnvironment> world_environment(const Lookup& lookup);

// "gpu[003-005,9],login" -> "gpu003": the first host of a SLURM node list. ConfigError naming `variable`.
std::string first_slurm_host(std::string_view nodes, const std::string& variable);
// "2(x3),1" -> {2, 2, 2, 1}: tasks of every node, from SLURM_TASKS_PER_NODE. ConfigError naming `variable`.
std::vector<int> slurm_tasks_per_node(std::string_view text, const std::string& variable);

}  // namespace capstan
