// What stands behind World: c10d's store and process group, and how their failures become our errors.
#pragma once
#include <ATen/ATen.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "capstan/parallel/environment.h"

namespace capstan {

using Clock = std::chrono::steady_clock;

struct ProcessGroups {
  ProcessGroups(const WorldEnvironment& environment, c10::Device device, double timeout_seconds);
  ~ProcessGroups();
  ProcessGroups(const ProcessGroups&) = delete;
  ProcessGroups& operator=(const ProcessGroups&) = delete;

  // ParallelError: this rank, `what` it waited for, how long since `start`, the cause, and what to do. From then on the
  // group is broken.
  [[noreturn]] void fail(std::string_view what, Clock::time_point start, const std::string& reason);
  // Throws when an earlier failure broke the group.
  void require_whole(std::string_view what) const;
  // Runs `work` and turns what c10d throws into fail().
  void guarded(std::string_view what, const std::function<void()>& work);

  const WorldEnvironment environment;
  const c10::Device device;
  const std::chrono::milliseconds timeout;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  std::atomic<bool> broken{false};

 private:
  std::string others_report() const;  // what another rank announced before it ended, or ""
};

struct PendingWork {
  std::shared_ptr<ProcessGroups> groups;
  c10::intrusive_ptr<c10d::Work> work;
  std::string what;
};

// Key in the store under which a rank says why it ends.
inline constexpr const char* kFailureKey = "failure";

// Makes the store and waits until all ranks are there.
c10::intrusive_ptr<c10d::Store> meet(const WorldEnvironment& environment, std::chrono::milliseconds timeout);
// The process group with a backend for CPU tensors and, for a CUDA device, one for those.
c10::intrusive_ptr<c10d::ProcessGroup> make_group(const WorldEnvironment& environment, c10::Device device,
                                                  const c10::intrusive_ptr<c10d::Store>& store,
                                                  std::chrono::milliseconds timeout);

// The first line of an exception, without c10's stack trace.
std::string reason_of(const std::exception& error);
// Whether that line tells of a wait that took too long.
bool is_timeout(std::string_view reason);
// Runs `work` in a thread of its own; false when it took longer, and then the thread is left to itself.
bool run_within(std::chrono::milliseconds limit, std::function<void()> work);

}  // namespace capstan
