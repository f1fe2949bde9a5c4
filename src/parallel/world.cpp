#include "capstan/parallel/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <torch/csrc/distributed/c10d/comm.hpp>

#include "parallel/groups.h"

namespace capstan {
namespace {

constexpr std::size_t kMessageBytes = std::size_t{64} << 20;

std::string named(std::string_view what, const char* otherwise) {
  return what.empty() ? std::string(otherwise) : std::string(what);
}

// Runs `reduce` on a contiguous tensor and brings the result back where the caller's had other strides.
void in_place(at::Tensor& tensor, const std::function<void(std::vector<at::Tensor>&)>& reduce) {
  std::vector<at::Tensor> dense = {tensor.detach().contiguous()};
  reduce(dense);
  if (!dense[0].is_alias_of(tensor)) tensor.detach().copy_(dense[0]);
}

void all_reduce(ProcessGroups* groups, at::Tensor& tensor, c10d::ReduceOp::RedOpType op, const std::string& what) {
  if (groups == nullptr || tensor.numel() == 0) return;
  groups->guarded(what, [&] {
    c10d::AllreduceOptions options;
    options.reduceOp = op;
    options.asyncOp = false;
    in_place(tensor, [&](std::vector<at::Tensor>& dense) { groups->group->allreduce(dense, options)->wait(); });
  });
}

at::Tensor bytes_tensor(std::string_view bytes, std::int64_t length) {
  at::Tensor padded = at::zeros({length}, at::kByte);
  if (!bytes.empty()) std::memcpy(padded.data_ptr<std::uint8_t>(), bytes.data(), bytes.size());
  return padded;
}

}  // namespace

Pending::Pending(std::unique_ptr<PendingWork> work) : work_(std::move(work)) {}
Pending::Pending(Pending&&) noexcept = default;
Pending& Pending::operator=(Pending&&) noexcept = default;

Pending::~Pending() {
  try {
    wait();
  } catch (const std::exception&) {  // whoever wants to know calls wait()
  }
}

void Pending::wait() {
  if (!work_) return;
  const auto work = std::move(work_);
  work->groups->guarded(work->what, [&] { work->work->wait(); });
}

World::World(WorldEnvironment environment) : environment_(std::move(environment)) {}
World::World(World&&) noexcept = default;
World& World::operator=(World&&) noexcept = default;
World::~World() = default;

World World::alone() { return World(WorldEnvironment{}); }

World World::connect(const WorldEnvironment& environment, c10::Device device, double timeout_seconds) {
  World world(environment);
  if (environment.size > 1) world.groups_ = std::make_shared<ProcessGroups>(environment, device, timeout_seconds);
  return world;
}

void World::all_reduce_sum(at::Tensor& tensor, std::string_view what) const {
  all_reduce(groups_.get(), tensor, c10d::ReduceOp::SUM, named(what, "a sum over all ranks"));
}

void World::all_reduce_max(at::Tensor& tensor, std::string_view what) const {
  all_reduce(groups_.get(), tensor, c10d::ReduceOp::MAX, named(what, "a maximum over all ranks"));
}

Pending World::all_reduce_sum_async(const at::Tensor& tensor, std::string_view what) const {
  if (!groups_ || tensor.numel() == 0) return {};
  CAPSTAN_ASSERT(tensor.is_contiguous());
  auto work = std::make_unique<PendingWork>();
  work->groups = groups_;
  work->what = named(what, "a sum over all ranks");
  groups_->guarded(work->what, [&] {
    std::vector<at::Tensor> dense = {tensor.detach()};
    work->work = groups_->group->allreduce(dense);
  });
  return Pending(std::move(work));
}

void World::broadcast(at::Tensor& tensor, int root, std::string_view what) const {
  if (!groups_ || tensor.numel() == 0) return;
  groups_->guarded(named(what, "a broadcast"), [&] {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.asyncOp = false;
    in_place(tensor, [&](std::vector<at::Tensor>& dense) { groups_->group->broadcast(dense, options)->wait(); });
  });
}

std::vector<std::string> World::gather(std::string_view bytes, std::string_view what) const {
  if (!groups_) return {std::string(bytes)};
  const auto size = static_cast<std::size_t>(environment_.size);
  std::vector<std::string> all(size);
  groups_->guarded(named(what, "what every rank has gathered"), [&] {
    at::Tensor lengths = at::zeros({environment_.size}, at::kLong);
    lengths[environment_.rank] = static_cast<std::int64_t>(bytes.size());
    std::vector<at::Tensor> shared_lengths = {lengths};
    groups_->group->allreduce(shared_lengths)->wait();
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    if (longest == 0) return;
    std::vector<std::vector<at::Tensor>> received(1);
    for (std::size_t i = 0; i < size; ++i) received[0].push_back(at::empty({longest}, at::kByte));
    std::vector<at::Tensor> sent = {bytes_tensor(bytes, longest)};
    groups_->group->allgather(received, sent)->wait();
    for (std::size_t i = 0; i < size; ++i) {
      const auto length = static_cast<std::size_t>(lengths[static_cast<std::int64_t>(i)].item<std::int64_t>());
      all[i].assign(reinterpret_cast<const char*>(received[0][i].data_ptr<std::uint8_t>()), length);
    }
  });
  return all;
}

bool World::any(bool flag, std::string_view what) const {
  if (!groups_) return flag;
  at::Tensor value = at::full({1}, flag ? 1 : 0, at::kInt);
  all_reduce(groups_.get(), value, c10d::ReduceOp::MAX, named(what, "a flag of all ranks"));
  return value.item<int>() != 0;
}

void World::barrier(std::string_view what) const { any(false, named(what, "all ranks to come to the same point")); }

void World::announce_failure(std::string_view message) const noexcept {
  if (!groups_) return;
  try {
    const std::string text = fmt::format("rank {}: {}", environment_.rank, message);
    run_within(std::chrono::seconds(2), [store = groups_->store, text] { store->set(kFailureKey, text); });
  } catch (const std::exception&) {  // the failure itself is reported by the caller; this only helps the others
  }
}

void broadcast_parameters(const World& world, const std::vector<at::Tensor>& tensors, int root, std::string_view what) {
  broadcast_from_owners(world, tensors, std::vector<int>(tensors.size(), root), what);
}

void broadcast_from_owners(const World& world, const std::vector<at::Tensor>& tensors, const std::vector<int>& owners,
                           std::string_view what) {
  CAPSTAN_ASSERT(tensors.size() == owners.size());
  if (!world.groups()) return;
  ProcessGroups& groups = *world.groups();
  groups.guarded(named(what, "the parameters of all ranks"), [&] {
    for (int root = 0; root < world.size(); ++root) {
      std::vector<at::Tensor> own;
      for (std::size_t i = 0; i < tensors.size(); ++i)
        if (owners[i] == root && tensors[i].numel() > 0) own.push_back(tensors[i].detach());
      if (!own.empty()) c10d::broadcast_coalesced(groups.group, own, kMessageBytes, root);
    }
  });
}

}  // namespace capstan
