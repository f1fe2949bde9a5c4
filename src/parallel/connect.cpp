// How ranks find each other: the store of rank 0 or of torchrun's agent, then Gloo and NCCL on top of it.
#include <fmt/format.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef CAPSTAN_CUDA
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "capstan/core/strings.h"
#include "capstan/parallel/error.h"
#include "parallel/groups.h"
#include "parallel/reach.h"

namespace capstan {
namespace {

// Ranks that did not come are named; more than this many are counted.
constexpr std::size_t kMostNamed = 8;

constexpr auto kShortestPause = std::chrono::milliseconds(5);
constexpr auto kLongestPause = std::chrono::milliseconds(200);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool serves_store(const WorldEnvironment& environment) { return environment.rank == 0 && !environment.agent_store; }

std::string arrival_key(int rank) { return fmt::format("arrived/{}", rank); }

c10::intrusive_ptr<c10d::Store> open_store(const WorldEnvironment& environment, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(environment.master_port);
  options.isServer = serves_store(environment);
  options.numWorkers = static_cast<std::size_t>(environment.size);
  options.waitWorkers = false;  // we wait ourselves and name those who are missing
  options.timeout = timeout;
  if (options.isServer && environment.master_socket >= 0) options.masterListenFd = environment.master_socket;
  auto store = c10::make_intrusive<c10d::TCPStore>(environment.master_addr, options);
  // The first prefix is the one that torch.distributed uses, so that attempts of one agent do not meet.
  auto attempt =
      c10::make_intrusive<c10d::PrefixStore>(fmt::format("/worker/attempt_{}", environment.restart_count), store);
  return c10::make_intrusive<c10d::PrefixStore>("capstan", attempt);
}

[[noreturn]] void no_store(const WorldEnvironment& environment, double seconds, const std::string& reason) {
  const bool serves = serves_store(environment);
  throw ParallelError(fmt::format(
      "rank {} of {} could not {} {}:{} (MASTER_ADDR, MASTER_PORT) within {}: {}. {}", environment.rank,
      environment.size, serves ? "serve the ranks at" : "reach rank 0 at", environment.master_addr,
      environment.master_port, human_duration(seconds), reason,
      serves ? "Choose a port that no other run on this host uses, and the address of this host."
             : "Look whether rank 0 has started there and whether a firewall closes the port between the hosts."));
}

std::string missing_ranks(c10d::Store& store, int size) {
  std::vector<std::string> names;
  std::size_t missing = 0;
  for (int rank = 0; rank < size; ++rank) {
    if (store.check({arrival_key(rank)})) continue;
    if (++missing <= kMostNamed) names.push_back(std::to_string(rank));
  }
  if (missing > kMostNamed) names.push_back(fmt::format("{} more", missing - kMostNamed));
  return (missing == 1 ? "rank " : "ranks ") + join(names, ", ");
}

// Asks again and again instead of waiting in the store, which would log a stack trace where a rank does not come.
void wait_for_all(c10d::Store& store, const WorldEnvironment& environment, Clock::time_point start,
                  Clock::time_point deadline) {
  store.set(arrival_key(environment.rank), std::string("1"));
  std::vector<std::string> keys;
  for (int rank = 0; rank < environment.size; ++rank) keys.push_back(arrival_key(rank));
  auto pause = kShortestPause;
  while (!store.check(keys)) {
    if (Clock::now() >= deadline) {
      throw ParallelError(
          fmt::format("rank {} of {} waited {} for all ranks to start, and {} did not arrive at {}:{}. Look at the "
                      "lines of those ranks, at WORLD_SIZE and RANK of every process, or raise "
                      "parallel.ddp_timeout.",
                      environment.rank, environment.size, human_duration(seconds_since(start)),
                      missing_ranks(store, environment.size), environment.master_addr, environment.master_port));
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

bool on_this_host_only(const WorldEnvironment& environment) {
  constexpr std::array<std::string_view, 3> kLoopback = {"127.0.0.1", "localhost", "::1"};
  return std::find(kLoopback.begin(), kLoopback.end(), environment.master_addr) != kLoopback.end();
}

c10::intrusive_ptr<c10d::Backend> make_gloo(const WorldEnvironment& environment,
                                            const c10::intrusive_ptr<c10d::Store>& store,
                                            std::chrono::milliseconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  const bool lazy = c10d::getDefaultGlooLazyInit();
  auto options = Gloo::Options::create(timeout);
  const char* named = std::getenv("GLOO_SOCKET_IFNAME");  // as torch.distributed does, several names by comma
  if (named != nullptr && *named != '\0') {
    for (const std::string& name : split(named, ','))
      options->devices.push_back(Gloo::createDeviceForInterface(name, lazy));
  } else if (on_this_host_only(environment)) {
    options->devices.push_back(Gloo::createDeviceForHostname("127.0.0.1", lazy));
  } else {
    options->devices.push_back(Gloo::createDefaultDevice(lazy));
  }
  options->threads = static_cast<int>(options->devices.size()) * 2;
  return c10::make_intrusive<Gloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store), environment.rank,
                                   environment.size, options);
}

#ifdef CAPSTAN_CUDA
// Its first sum makes the communicator, so that GPUs that cannot talk are found here and not in the first step.
void add_nccl(c10d::ProcessGroup& group, const WorldEnvironment& environment, c10::Device device,
              const c10::intrusive_ptr<c10d::Store>& store, std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store),
                                                          environment.rank, environment.size, options);
  group.setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, nccl);
  group.setDefaultBackend(c10d::ProcessGroup::BackendType::NCCL);
  std::vector<at::Tensor> one = {at::ones({1}, at::TensorOptions().device(device))};
  group.allreduce(one)->wait();
  if (one[0].item<float>() != static_cast<float>(environment.size)) {
    throw ParallelError(fmt::format("rank {} of {}: NCCL summed {} ones to {}. Each rank needs a GPU of its own.",
                                    environment.rank, environment.size, environment.size, one[0].item<float>()));
  }
}
#endif

}  // namespace

c10::intrusive_ptr<c10d::Store> meet(const WorldEnvironment& environment, std::chrono::milliseconds timeout) {
  const Clock::time_point start = Clock::now(), deadline = start + timeout;
  if (!serves_store(environment)) {
    const std::string reason = wait_for_port(environment.master_addr, environment.master_port, deadline);
    if (!reason.empty()) no_store(environment, seconds_since(start), reason);
  }
  try {
    auto store = open_store(environment, timeout);
    wait_for_all(*store, environment, start, deadline);
    return store;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    no_store(environment, seconds_since(start), reason_of(error));
  }
}

c10::intrusive_ptr<c10d::ProcessGroup> make_group(const WorldEnvironment& environment, c10::Device device,
                                                  const c10::intrusive_ptr<c10d::Store>& store,
                                                  std::chrono::milliseconds timeout) {
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, environment.rank, environment.size);
  if (device.is_cuda() && device.has_index()) group->setBoundDeviceId(device);
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO,
                    make_gloo(environment, store, timeout));
  group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  group->setGroupName("capstan");
#ifdef CAPSTAN_CUDA
  if (device.is_cuda()) add_nccl(*group, environment, device, store, timeout);
#endif
  return group;
}

}  // namespace capstan
