#include "capstan/parallel/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "parallel/child.h"

namespace capstan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<int, 4> kForwarded = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
constexpr std::array<int, 5> kHandled = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD};
constexpr int kPollMilliseconds = 200;  // only for deadlines: signals and ends of children wake the wait at once

int signal_pipe = -1;  // where the handler writes

void on_signal(int number) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = write(signal_pipe, &byte, 1);  // full: as many signals wait to be read
  errno = before;
}

// Turns signals into bytes of a pipe while it lives, whichever thread the system gives them to.
class SignalInbox {
 public:
  SignalInbox() {
    if (pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw Error("cannot make a pipe for signals");
    signal_pipe = ends_[1];
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &action, &before_[i]);
  }
  ~SignalInbox() {
    for (std::size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i], &before_[i], nullptr);
    signal_pipe = -1;
    close(ends_[0]);
    close(ends_[1]);
  }
  SignalInbox(const SignalInbox&) = delete;
  SignalInbox& operator=(const SignalInbox&) = delete;

  // What came since the last call, waiting a little for the first.
  std::vector<int> wait() {
    pollfd entry{ends_[0], POLLIN, 0};
    poll(&entry, 1, kPollMilliseconds);
    std::array<unsigned char, 64> bytes{};
    std::vector<int> numbers;
    for (ssize_t got = 0; (got = read(ends_[0], bytes.data(), bytes.size())) > 0;)
      numbers.insert(numbers.end(), bytes.begin(), bytes.begin() + got);
    return numbers;
  }

 private:
  std::array<int, 2> ends_{};
  std::array<struct sigaction, kHandled.size()> before_{};
};

// The children of a run, from their start to the code that it ends with.
class Crew {
 public:
  Crew(std::vector<Child> children, const LaunchOptions& options) : children_(std::move(children)), options_(options) {}
  ~Crew() { send_groups(SIGKILL); }  // only after an exception
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  bool alive() const {
    return std::any_of(children_.begin(), children_.end(), [](const Child& child) { return !child.ended; });
  }
  void forward(int number) {
    for (const Child& child : children_)
      if (!child.ended) kill(child.pid, number);
  }
  void collect();
  void enforce();
  int code() const;

 private:
  void send_groups(int number) {
    for (const Child& child : children_)
      if (!child.ended) kill(-child.pid, number);
  }

  std::vector<Child> children_;
  LaunchOptions options_;
  std::optional<Child> failed_;  // the first
  Clock::time_point deadline_;   // of the next measure against those who still run
  int measures_ = 0;
};

void Crew::collect() {
  std::vector<Child> news;
  for (Child& child : children_) {
    int status = 0;
    if (child.ended || waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
    child.set_status(status);
    if (!child.in_order()) news.push_back(child);
  }
  // Of several at once a killed one is the cause, and the others only noticed.
  std::stable_sort(news.begin(), news.end(), [](const Child& a, const Child& b) { return a.signaled > b.signaled; });
  if (failed_ || news.empty()) return;
  failed_ = news.front();
  deadline_ = Clock::now() + options_.grace;
  log_error(failed_->describe() +
            (alive() ? fmt::format("; the other ranks get {} to end",
                                   human_duration(std::chrono::duration<double>(options_.grace).count()))
                     : std::string()));
}

void Crew::enforce() {
  if (!failed_ || !alive() || Clock::now() < deadline_) return;
  send_groups(measures_++ == 0 ? SIGTERM : SIGKILL);
  deadline_ = Clock::now() + options_.term;
}

int Crew::code() const {
  if (failed_) return failed_->code;
  int code = 0;
  for (const Child& child : children_)
    if (code == 0) code = child.code;
  return code;
}

}  // namespace

int launch_workers(int num_processes, std::span<char* const> argv, const LaunchOptions& options) {
  if (num_processes < 1) {
    throw UsageError(fmt::format("{} processes cannot train; expected 1 or more", num_processes));
  }
  const int threads = threads_per_process(options.threads, num_processes);
  SignalInbox inbox;
  std::vector<Child> children;
  {
    const MasterSocket master;  // closed here once rank 0 has it: when rank 0 ends, nobody waits at an open port
    try {
      for (int rank = 0; rank < num_processes; ++rank)
        children.push_back(start_child(rank, argv, child_environment(rank, num_processes, threads, master), master));
    } catch (const Error&) {
      for (const Child& child : children) kill(child.pid, SIGKILL);
      for (const Child& child : children) waitpid(child.pid, nullptr, 0);
      throw;
    }
  }
  Crew crew(std::move(children), options);
  while (crew.alive()) {
    for (const int number : inbox.wait())
      if (std::find(kForwarded.begin(), kForwarded.end(), number) != kForwarded.end()) crew.forward(number);
    crew.collect();
    crew.enforce();
  }
  return crew.code();
}

}  // namespace capstan
