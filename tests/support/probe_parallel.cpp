// One rank of a run, for tests that need processes. RANK and the like come from the environment.
//   parallel-launch N GRACE_SECONDS COMMAND ARGS...   N copies of this probe with COMMAND ARGS
//   parallel-exit HOW...            rank i does HOW[i]: a number (exit code), kill, sleep, stubborn (ignores SIGTERM),
//   obey parallel-where                  prints what the environment says and how many threads there are parallel-sums
//   TIMEOUT           every operation once; rank 0 prints the results as JSON parallel-gradients STEPS ACCUMULATION
//   none|bf16 OUT   gradients of every step to OUT by rank 0 parallel-loop TIMEOUT           sums until any rank is
//   told to stop parallel-late TIMEOUT RANK      rank RANK takes no part in the second sum and sleeps
#include <ATen/ATen.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/signals.h"
#include "capstan/parallel/launch.h"
#include "capstan/parallel/reducer.h"
#include "capstan/parallel/world.h"
#include "support/parallel_model.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

constexpr auto kLong = std::chrono::seconds(60);

World connect(const char* timeout) {
  const auto environment = world_environment();
  if (!environment) return World::alone();
  return World::connect(*environment, c10::kCPU, std::atof(timeout));
}

// One write, so that lines of several ranks do not mix.
void say(const std::string& line) {
  const std::string whole = line + "\n";
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, whole.data(), whole.size());
}

volatile std::sig_atomic_t num_signals = 0;
void count_signal(int) { num_signals = num_signals + 1; }

int end_as_told(std::string_view how) {
  if (how == "kill") std::raise(SIGKILL);
  if (how == "stubborn") std::signal(SIGTERM, SIG_IGN);
  if (how == "sleep" || how == "stubborn") {
    std::this_thread::sleep_for(kLong);
    return 99;
  }
  if (how != "obey") return std::atoi(how.data());
  install_stop_handlers();
  std::signal(SIGUSR1, count_signal);
  std::signal(SIGUSR2, count_signal);
  say("ready " + std::to_string(getpid()));
  while (!stop_requested()) usleep(10000);
  usleep(200000);  // a second signal would have come by now
  say("counted " + std::to_string(num_signals));
  return stop_exit_code();
}

int where() {
  const auto environment = world_environment();
  const WorldEnvironment world = environment.value_or(WorldEnvironment{});
  const nlohmann::json line = {{"launched", environment.has_value()},
                               {"rank", world.rank},
                               {"size", world.size},
                               {"local_rank", world.local_rank},
                               {"local_size", world.local_size},
                               {"addr", world.master_addr},
                               {"agent", world.agent_store},
                               {"threads", std::getenv("OMP_NUM_THREADS") ? std::getenv("OMP_NUM_THREADS") : ""}};
  say(line.dump());
  return 0;
}

int sums(const char* timeout) {
  const World world = connect(timeout);
  const auto rank = static_cast<double>(world.rank());
  at::Tensor sum = at::arange(5, at::kFloat) + rank, most = at::full({2}, rank, at::kLong);
  at::Tensor sent = at::full({2, 3}, rank, at::kDouble).t();
  at::Tensor late = at::full({4}, rank + 1, at::kFloat);
  Pending pending = world.all_reduce_sum_async(late);
  world.all_reduce_sum(sum);
  world.all_reduce_max(most);
  world.broadcast(sent, world.size() - 1);
  pending.wait();
  const std::vector<std::string> texts = world.gather(std::string(static_cast<std::size_t>(world.rank()) * 3, 'x'));
  const bool some = world.any(world.rank() == world.size() - 1), none = world.any(false);
  world.barrier();
  if (!world.is_main()) return 0;
  const nlohmann::json line = {{"sum", std::vector<float>(sum.data_ptr<float>(), sum.data_ptr<float>() + 5)},
                               {"max", most[1].item<int>()},
                               {"sent", sent[2][1].item<double>()},
                               {"late", late[3].item<float>()},
                               {"texts", texts},
                               {"some", some},
                               {"none", none}};
  say(line.dump());
  return 0;
}

int gradients(const char* const* argv) {
  const World world = connect("60");
  const int steps = std::atoi(argv[0]), accumulation = std::atoi(argv[1]);
  testing::ParallelModel model;
  ReducerOptions options;
  options.bucket_bytes = options.first_bucket_bytes = 4096;  // several buckets
  if (argv[2] == std::string_view("bf16")) options.compression = GradientCompression::kBf16;
  broadcast_parameters(world, model.parameters());
  GradientReducer reducer(world, model.parameters(), options);
  TensorMap out;
  const std::int64_t share = testing::ParallelModel::kRows / world.size() / accumulation;
  for (int step = 0; step < steps; ++step) {
    for (at::Tensor& parameter : model.parameters())
      if (parameter.grad().defined()) parameter.mutable_grad().zero_();
    for (int i = 0; i < accumulation; ++i) {
      const std::int64_t begin = (world.rank() * accumulation + i) * share;
      reducer.prepare(i + 1 == accumulation);
      const at::Tensor loss = model.loss(step, begin, begin + share);
      reducer.backward([&] { loss.backward(); });
    }
    for (const auto& item : model.named_parameters()) {
      const at::Tensor gradient = item.value().grad().clone();
      const std::string bytes(static_cast<const char*>(gradient.data_ptr()), gradient.nbytes());
      for (const std::string& other : world.gather(bytes))
        if (other != bytes) throw Error("the ranks have different gradients of " + item.key());
      out["step" + std::to_string(step) + "." + item.key()] = gradient;
    }
  }
  if (world.is_main()) write_safetensors(argv[3], out);
  return 0;
}

int loop(const char* timeout) {
  install_stop_handlers();
  const World world = connect(timeout);
  say("ready " + std::to_string(world.rank()) + " " + std::to_string(getpid()));
  for (int step = 0;; ++step) {
    at::Tensor value = at::ones({100000});
    world.all_reduce_sum(value, "the sum of step " + std::to_string(step));
    if (world.any(stop_requested())) break;
    usleep(1000);
  }
  return world.any(stop_exit_code() == 130) ? 130 : 143;
}

int late(const char* timeout, int sleeper) {
  const World world = connect(timeout);
  at::Tensor value = at::ones({10});
  world.all_reduce_sum(value);
  if (world.rank() == sleeper) std::this_thread::sleep_for(kLong);
  world.all_reduce_sum(value, "the second sum");
  return 0;
}

int restart(const char* timeout) {
  const World world = connect(timeout);
  const int attempt = world_environment()->restart_count;
  world.barrier();
  if (attempt == 0 && world.rank() == 1) std::raise(SIGKILL);
  world.barrier();
  if (world.is_main()) say("attempt " + std::to_string(attempt));
  return 0;
}

}  // namespace

int probe_parallel(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (!command.starts_with("parallel-")) return -1;
  if (command == "parallel-launch" && argc > 4) {
    std::vector<char*> arguments = {argv[0]};
    arguments.insert(arguments.end(), argv + 4, argv + argc);
    LaunchOptions options;
    options.grace = std::chrono::milliseconds(static_cast<int>(std::atof(argv[3]) * 1000));
    options.term = std::chrono::milliseconds(500);
    return launch_workers(std::atoi(argv[2]), arguments, options);
  }
  if (command == "parallel-where") return where();
  if (command == "parallel-exit") return end_as_told(argv[2 + std::atoi(std::getenv("RANK"))]);
  at::set_num_threads(1);
  if (command == "parallel-sums" && argc == 3) return sums(argv[2]);
  if (command == "parallel-gradients" && argc == 6) return gradients(argv + 2);
  if (command == "parallel-loop" && argc == 3) return loop(argv[2]);
  if (command == "parallel-restart" && argc == 3) return restart(argv[2]);
  if (command == "parallel-late" && argc == 4) return late(argv[2], std::atoi(argv[3]));
  return -1;
}
