#include "parallel/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "capstan/core/error.h"

extern char** environ;

namespace capstan {
namespace {

constexpr int kBacklog = 1024;
constexpr int kCannotExecute = 127;

[[noreturn]] void system_error(const char* action) {
  throw Error(fmt::format("cannot {}: {}. Look at the limits of this system (ulimit -u, free memory).", action,
                          std::strerror(errno)));
}

// Blocks all signals while it lives, so that none reaches a child while it still has our handlers.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsHeld() { restore(); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  void restore() const { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec only functions that are safe in a signal handler: other threads may have held locks.
[[noreturn]] void become_child(pid_t parent, char* const* argv, char* const* environment, int master, bool keeps_master,
                               const SignalsHeld& signals) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotExecute);  // it died before the line above
  setpgid(0, 0);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD}) std::signal(number, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  if (nothing > STDERR_FILENO) close(nothing);
  if (keeps_master) fcntl(master, F_SETFD, 0);
  signals.restore();
  // By its name where it still has one, so that lists of processes show it; the link works even when it was replaced.
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length > 0) {
    path[length] = '\0';
    execve(path, argv, environment);
  }
  execve("/proc/self/exe", argv, environment);
  _exit(kCannotExecute);
}

}  // namespace

MasterSocket::MasterSocket() {
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) system_error("open a socket for the ranks");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(descriptor_, generic, length) != 0 || listen(descriptor_, kBacklog) != 0 ||
      getsockname(descriptor_, generic, &length) != 0) {
    close(descriptor_);
    system_error("listen on 127.0.0.1 for the ranks");
  }
  port_ = ntohs(address.sin_port);
}

MasterSocket::~MasterSocket() { close(descriptor_); }

void Child::set_status(int status) {
  ended = true;
  signaled = WIFSIGNALED(status);
  code = signaled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Child::describe() const {
  if (!signaled) return fmt::format("rank {} (process {}) ended with exit code {}", rank, pid, code);
  const int number = code - 128;
  return fmt::format("rank {} (process {}) was killed by signal {} ({}){}", rank, pid, number, strsignal(number),
                     number == SIGKILL ? "; the system does that when memory runs out" : "");
}

std::vector<std::string> child_environment(int rank, int size, int threads, const MasterSocket& master) {
  std::vector<std::string> set = {
      fmt::format("RANK={}", rank),
      fmt::format("WORLD_SIZE={}", size),
      fmt::format("LOCAL_RANK={}", rank),
      fmt::format("LOCAL_WORLD_SIZE={}", size),
      "MASTER_ADDR=127.0.0.1",
      fmt::format("MASTER_PORT={}", master.port()),
      fmt::format("OMP_NUM_THREADS={}", threads),
  };
  if (rank == 0) set.push_back(fmt::format("CAPSTAN_MASTER_SOCKET={}", master.descriptor()));
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('='));
    const bool replaced = std::any_of(set.begin(), set.end(), [&](const std::string& own) {
      return own.size() > name.size() && own.compare(0, name.size(), name) == 0 && own[name.size()] == '=';
    });
    if (!replaced && !name.starts_with("TORCHELASTIC_") && name != "CAPSTAN_MASTER_SOCKET") result.emplace_back(*entry);
  }
  result.insert(result.end(), set.begin(), set.end());
  return result;
}

Child start_child(int rank, std::span<char* const> argv, const std::vector<std::string>& environment,
                  const MasterSocket& master) {
  std::vector<char*> arguments;  // made before the fork, as is everything else that takes memory
  for (char* argument : argv)
    if (argument != nullptr) arguments.push_back(argument);
  arguments.push_back(nullptr);
  const std::vector<char*> variables = pointers(environment);
  const pid_t parent = getpid();
  const SignalsHeld signals;
  const pid_t pid = fork();
  if (pid < 0) system_error("start a process for a rank");
  if (pid == 0) become_child(parent, arguments.data(), variables.data(), master.descriptor(), rank == 0, signals);
  setpgid(pid, pid);  // also here, so that it holds whoever comes first
  Child child;
  child.rank = rank;
  child.pid = pid;
  return child;
}

int threads_per_process(int wanted, int num_processes) {
  if (wanted > 0) return wanted;
  if (const char* given = std::getenv("OMP_NUM_THREADS"); given != nullptr && std::atoi(given) > 0)
    return std::atoi(given);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int processors = sched_getaffinity(0, sizeof(allowed), &allowed) == 0
                             ? CPU_COUNT(&allowed)
                             : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, processors / num_processes);
}

}  // namespace capstan
