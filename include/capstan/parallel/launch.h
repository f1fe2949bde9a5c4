// Runs several copies of this program on one host, one for every rank.
#pragma once
#include <chrono>
#include <span>

namespace capstan {

struct LaunchOptions {
  int threads = 0;  // per process; 0: OMP_NUM_THREADS where it is set, else the processors of this machine shared out
  // After one rank failed: how long the others have to end with their own message, then how long after SIGTERM.
  std::chrono::milliseconds grace{10000};
  std::chrono::milliseconds term{5000};
};

// Starts this program's file `num_processes` times with the arguments `argv` (argv[0] is the name) and RANK,
// WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR=127.0.0.1 and MASTER_PORT in the environment; waits for all of
// them.
//
// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 that this process gets are sent to every child, once each: the children are in
// process groups of their own, so that Ctrl-C on a terminal does not reach them a second time. They read nothing from
// standard input. When this process dies in whatever way, they are killed.
//
// Returns 0 when all ended with 0; else the code of the first child that failed (128 + n when signal n ended it); else,
// when children stopped after a signal, theirs: 143 or 130. UsageError for num_processes < 1; Error when no process can
// be started.
int launch_workers(int num_processes, std::span<char* const> argv, const LaunchOptions& options = {});

}  // namespace capstan
