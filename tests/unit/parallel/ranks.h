// Ranks as threads of the test: they talk over sockets of this host as processes would.
#pragma once
#include <ATen/Parallel.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "capstan/parallel/world.h"
#include "parallel/child.h"

namespace capstan::testing {

inline WorldEnvironment environment_of(int rank, int size, const MasterSocket& master) {
  WorldEnvironment environment;
  environment.rank = environment.local_rank = rank;
  environment.size = environment.local_size = size;
  environment.master_addr = "127.0.0.1";
  environment.master_port = master.port();
  if (rank == 0) environment.master_socket = dup(master.descriptor());  // the store closes its own
  return environment;
}

// Runs `work` on `size` ranks. What each threw, "" where it ended well, by rank.
inline std::vector<std::string> run_ranks(int size, const std::function<void(World&)>& work, double timeout = 30) {
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  const MasterSocket master;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank, environment = environment_of(rank, size, master)] {
      at::set_num_threads(1);
      try {
        World world = size == 1 ? World::alone() : World::connect(environment, c10::kCPU, timeout);
        work(world);
      } catch (const std::exception& error) {
        errors[static_cast<std::size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace capstan::testing
