// The processes of a run and what they tell each other. One process alone is a world of size 1, where every function
// here does nothing and no library is touched.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/parallel/environment.h"
#include "capstan/parallel/error.h"

namespace capstan {

struct ProcessGroups;
struct PendingWork;

// A sum under way. wait() gives the tensor; the destructor waits as well, but swallows errors.
class Pending {
 public:
  Pending() = default;
  explicit Pending(std::unique_ptr<PendingWork> work);
  Pending(Pending&&) noexcept;
  Pending& operator=(Pending&&) noexcept;
  ~Pending();
  void wait();  // ParallelError as for World's functions

 private:
  std::unique_ptr<PendingWork> work_;
};

// All ranks call the same functions in the same order, with tensors of the same shapes and types. CPU tensors travel by
// Gloo, CUDA tensors by NCCL: there the results are in place once the current stream gets to them.
//
// `what` names the moment in errors ("the losses of step 40"). When a rank has ended, did not call in time, or the
// network broke: ParallelError within the timeout, on every rank; the world is of no use afterwards, and every later
// call throws at once.
class World {
 public:
  static World alone();
  // Meets the other ranks. `device` is where this rank's model lies: a CUDA device makes CUDA tensors travel too, and
  // belongs to this rank alone. `timeout_seconds` bounds the meeting and every wait after it. ParallelError when ranks
  // do not arrive, naming them. From here on SIGPIPE is ignored, where it had its default action.
  static World connect(const WorldEnvironment& environment, c10::Device device, double timeout_seconds);

  World(World&&) noexcept;
  World& operator=(World&&) noexcept;
  ~World();  // does not wait for dead peers

  int rank() const { return environment_.rank; }
  int size() const { return environment_.size; }
  int local_rank() const { return environment_.local_rank; }
  int local_size() const { return environment_.local_size; }
  bool is_main() const { return environment_.rank == 0; }

  // In place, the same bits on every rank. Floating and integer types; dense tensors of any stride.
  void all_reduce_sum(at::Tensor& tensor, std::string_view what = {}) const;
  void all_reduce_max(at::Tensor& tensor, std::string_view what = {}) const;
  // Starts the sum and comes back; `tensor` must be contiguous and may not be touched before wait().
  Pending all_reduce_sum_async(const at::Tensor& tensor, std::string_view what = {}) const;
  void broadcast(at::Tensor& tensor, int root = 0, std::string_view what = {}) const;
  // What every rank gave, by rank. The lengths may differ.
  std::vector<std::string> gather(std::string_view bytes, std::string_view what = {}) const;
  // Whether `flag` is set on any rank.
  bool any(bool flag, std::string_view what = {}) const;
  void barrier(std::string_view what = {}) const;

  // Tells the others why this rank ends, so that their errors can say it: to be called before anything closes, for
  // errors that are no ParallelError. Never throws.
  void announce_failure(std::string_view message) const noexcept;

  // For this layer: null in a world of size 1.
  const std::shared_ptr<ProcessGroups>& groups() const { return groups_; }

 private:
  explicit World(WorldEnvironment environment);
  WorldEnvironment environment_;
  std::shared_ptr<ProcessGroups> groups_;
};

// Copies `tensors` of rank `root` to all others, in few large messages; CPU and CUDA tensors, types mixed.
void broadcast_parameters(const World& world, const std::vector<at::Tensor>& tensors, int root = 0,
                          std::string_view what = {});
// Copies every tensor from the rank that owns it: owners[i] has tensors[i] (a sharded optimizer's new parameters).
void broadcast_from_owners(const World& world, const std::vector<at::Tensor>& tensors, const std::vector<int>& owners,
                           std::string_view what = {});

}  // namespace capstan
