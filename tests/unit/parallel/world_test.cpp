// What ranks tell each other, and what they say when one of them is silent.
#include "capstan/parallel/world.h"

#include <chrono>
#include <mutex>

#include "support/catch.h"
#include "unit/parallel/ranks.h"

using namespace capstan;
using testing::run_ranks;

namespace {

// Catch2 counts in one thread, so ranks only collect what is wrong.
struct Findings {
  void expect(bool right, const std::string& what) {
    const std::lock_guard lock(mutex);
    if (!right) wrong.push_back(what);
  }
  std::mutex mutex;
  std::vector<std::string> wrong;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

const std::vector<std::string> kNoError(8);

}  // namespace

TEST_CASE("sums, maxima, broadcasts and flags reach every rank", "[parallel][unit]") {
  const int size = GENERATE(1, 2, 4);
  Findings findings;
  const auto errors = run_ranks(size, [&](World& world) {
    const auto rank = static_cast<double>(world.rank());
    const double total = size * (size - 1) / 2.0;
    findings.expect(world.size() == size && world.is_main() == (world.rank() == 0), "place");
    for (const auto type : {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kBFloat16}) {
      at::Tensor sum = at::full({3, 2}, rank, type);
      world.all_reduce_sum(sum);
      findings.expect(sum.eq(total).all().item<bool>(), "sum");
      at::Tensor most = at::full({5}, rank, type);
      world.all_reduce_max(most);
      findings.expect(most.eq(size - 1).all().item<bool>(), "max");
      at::Tensor sent = at::full({3, 4}, rank, type).t();
      world.broadcast(sent, size - 1);
      findings.expect(sent.eq(size - 1).all().item<bool>(), "broadcast of a transposed tensor");
    }
    at::Tensor strided = at::zeros({4, 4}).t();
    strided.select(0, 1).fill_(1);
    world.all_reduce_sum(strided);
    findings.expect(strided.select(0, 1).eq(size).all().item<bool>() && strided.sum().item<double>() == 4.0 * size,
                    "sum of a transposed tensor");
    at::Tensor empty = at::empty({0});
    world.all_reduce_sum(empty);
    findings.expect(world.any(world.rank() == size - 1) && !world.any(false), "any");
    world.barrier();
  });
  CHECK(findings.wrong.empty());
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("gathered strings keep their lengths and their ranks", "[parallel][unit]") {
  const int size = GENERATE(1, 2, 4);
  Findings findings;
  const auto errors = run_ranks(size, [&](World& world) {
    const auto text = [](int rank) { return std::string(static_cast<std::size_t>(rank) * 1000, 'a') + '\0'; };
    const auto all = world.gather(text(world.rank()));
    findings.expect(static_cast<int>(all.size()) == size, "number");
    for (int rank = 0; rank < size; ++rank) findings.expect(all.at(rank) == text(rank), "text");
    for (const std::string& nothing : world.gather("")) findings.expect(nothing.empty(), "nothing");
  });
  CHECK(findings.wrong.empty());
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("a sum runs while its rank does something else", "[parallel][unit]") {
  Findings findings;
  const auto errors = run_ranks(2, [&](World& world) {
    at::Tensor first = at::ones({1000}), second = at::full({7}, 2.0);
    Pending one = world.all_reduce_sum_async(first), two = world.all_reduce_sum_async(second);
    two.wait();
    one.wait();
    findings.expect(first.eq(2).all().item<bool>() && second.eq(4).all().item<bool>(), "sum");
  });
  CHECK(findings.wrong.empty());
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("parameters come from one rank or from their owners", "[parallel][unit]") {
  Findings findings;
  const auto errors = run_ranks(4, [&](World& world) {
    const auto make = [&] {
      return std::vector<at::Tensor>{at::full({10, 3}, world.rank(), at::kFloat).requires_grad_(),
                                     at::full({5}, world.rank(), at::kLong), at::full({}, world.rank(), at::kFloat),
                                     at::empty({0})};
    };
    auto tensors = make();
    broadcast_parameters(world, tensors, 2);
    for (int i = 0; i < 3; ++i) findings.expect(tensors[i].eq(2).all().item<bool>(), "broadcast");
    tensors = make();
    broadcast_from_owners(world, tensors, {3, 0, 1, 1});
    findings.expect(
        tensors[0].eq(3).all().item<bool>() && tensors[1].eq(0).all().item<bool>() && tensors[2].item<float>() == 1,
        "owners");
  });
  CHECK(findings.wrong.empty());
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("a rank that is silent ends the others at the timeout", "[parallel][unit]") {
  const auto start = std::chrono::steady_clock::now();
  std::mutex done;
  done.lock();
  const auto errors = run_ranks(
      2,
      [&](World& world) {
        if (world.rank() == 1) {
          const std::lock_guard wait(done);
          return;
        }
        at::Tensor value = at::ones({1});
        try {
          world.all_reduce_sum(value, "the losses of step 40");
        } catch (...) {
          done.unlock();
          std::string second;
          try {
            world.barrier();
          } catch (const ParallelError& error) {
            second = error.what();
          }
          if (second.find("is broken") == std::string::npos) throw Error("the second call said '" + second + "'");
          throw;
        }
      },
      2);
  CHECK(seconds_since(start) < 15);
  CHECK_THAT(errors[0], ContainsSubstring("rank 0 of 2 waited") && ContainsSubstring("for the losses of step 40") &&
                            ContainsSubstring("ddp_timeout"));
  CHECK(errors[1] == "");
}

TEST_CASE("a rank that ends breaks the others' wait at once and can say why", "[parallel][unit]") {
  const auto start = std::chrono::steady_clock::now();
  const auto errors = run_ranks(3, [&](World& world) {
    world.barrier();
    if (world.rank() == 2) {
      world.announce_failure("the file x is damaged");
      throw DataError("the file x is damaged");
    }
    at::Tensor value = at::ones({1});
    world.all_reduce_sum(value, "the sum");
  });
  CHECK(seconds_since(start) < 15);
  for (int rank : {0, 1})
    CHECK_THAT(errors[rank], ContainsSubstring("Another rank said: rank 2: the file x is damaged"));
}

TEST_CASE("ranks that do not arrive are named", "[parallel][unit]") {
  const MasterSocket master;
  WorldEnvironment environment = testing::environment_of(0, 4, master);
  CHECK_THROWS_WITH(World::connect(environment, c10::kCPU, 1.0),
                    ContainsSubstring("rank 0 of 4 waited") && ContainsSubstring("ranks 1, 2, 3 did not arrive"));
}

TEST_CASE("a rank that cannot reach rank 0 says where it looked", "[parallel][unit]") {
  int port = 0;
  {
    const MasterSocket free;
    port = free.port();
  }
  WorldEnvironment environment;
  environment.rank = 1;
  environment.size = 2;
  environment.master_addr = "127.0.0.1";
  environment.master_port = port;
  CHECK_THROWS_WITH(World::connect(environment, c10::kCPU, 1.5),
                    ContainsSubstring("rank 1 of 2 could not reach rank 0 at 127.0.0.1:" + std::to_string(port)));
}
