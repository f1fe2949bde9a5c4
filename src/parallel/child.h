// One copy of this program: how it is started and how it ended.
#pragma once
#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

namespace capstan {

// A listening socket on 127.0.0.1 whose port nobody else can take: rank 0 inherits it.
class MasterSocket {
 public:
  MasterSocket();
  ~MasterSocket();
  MasterSocket(const MasterSocket&) = delete;
  MasterSocket& operator=(const MasterSocket&) = delete;
  int descriptor() const { return descriptor_; }
  int port() const { return port_; }

 private:
  int descriptor_ = -1;
  int port_ = 0;
};

struct Child {
  int rank = 0;
  pid_t pid = 0;
  bool ended = false;
  int code = 0;  // exit code, or 128 + the signal that ended it
  bool signaled = false;

  // Ended by itself, well or after a signal that it heeded.
  bool in_order() const { return !signaled && (code == 0 || code == 130 || code == 143); }
  void set_status(int status);
  std::string describe() const;  // "rank 1 (process 4711) was killed by signal 9 (Killed)"
};

// NAME=value entries for rank `rank`: this process's environment with the variables of the run replaced.
std::vector<std::string> child_environment(int rank, int size, int threads, const MasterSocket& master);

// Forks and executes this program's file. Error when the system gives no process.
Child start_child(int rank, std::span<char* const> argv, const std::vector<std::string>& environment,
                  const MasterSocket& master);

// Threads of each process: `wanted`, or OMP_NUM_THREADS, or the processors of this machine shared out.
int threads_per_process(int wanted, int num_processes);

}  // namespace capstan
