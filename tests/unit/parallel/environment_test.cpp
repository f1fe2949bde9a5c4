// The variables of torchrun, of SLURM and of nobody.
#include "capstan/parallel/environment.h"

#include <map>

#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;

namespace {

using Variables = std::map<std::string, std::string>;

std::optional<WorldEnvironment> world_of(const Variables& variables) {
  return world_environment([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

Variables changed(Variables variables, const std::string& name, const char* value) {
  if (value == nullptr) {
    variables.erase(name);
  } else {
    variables[name] = value;
  }
  return variables;
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "10.0.0.7"},
                             {"MASTER_PORT", "29400"}};
const Variables kSlurm = {{"SLURM_PROCID", "3"},
                          {"SLURM_NTASKS", "5"},
                          {"SLURM_LOCALID", "1"},
                          {"SLURM_NODEID", "1"},
                          {"SLURM_JOB_ID", "123456"},
                          {"SLURM_STEP_ID", "2"},
                          {"SLURM_STEP_NODELIST", "gpu[003-004,9]"},
                          {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"}};

}  // namespace

TEST_CASE("a process that nobody launched is alone", "[parallel][unit]") {
  CHECK_FALSE(world_of({}));
  CHECK_FALSE(world_of({{"MASTER_ADDR", "left.over"}, {"LOCAL_RANK", "0"}}));
  CHECK_FALSE(world_of({{"RANK", ""}, {"WORLD_SIZE", " "}}));
}

TEST_CASE("the variables of torchrun are read", "[parallel][unit]") {
  const auto world = world_of(kTorchrun);
  REQUIRE(world);
  CHECK(world->rank == 5);
  CHECK(world->size == 8);
  CHECK(world->local_rank == 1);
  CHECK(world->local_size == 4);
  CHECK(world->master_addr == "10.0.0.7");
  CHECK(world->master_port == 29400);
  CHECK_FALSE(world->agent_store);
  CHECK(world->restart_count == 0);
  CHECK(world->master_socket == -1);
  const auto agent =
      world_of(changed(changed(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True"), "TORCHELASTIC_RESTART_COUNT", "3"));
  CHECK(agent->agent_store);
  CHECK(agent->restart_count == 3);
  const auto pod = world_of(changed(changed(kTorchrun, "LOCAL_RANK", nullptr), "LOCAL_WORLD_SIZE", nullptr));
  CHECK(pod->local_rank == 0);  // one process per pod, as Kubernetes operators start them
  CHECK(pod->local_size == 1);
}

TEST_CASE("half of the variables of a launcher is an error that names the rest", "[parallel][unit]") {
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
    CHECK_THROWS_WITH(world_of(changed(kTorchrun, name, nullptr)),
                      ContainsSubstring(std::string(name) + " is not set although"));
  }
  CHECK_THROWS_AS(world_of({{"WORLD_SIZE", "2"}}), ConfigError);
}

TEST_CASE("impossible values name the variable and what was expected", "[parallel][unit]") {
  const auto message = [](const char* name, const char* value) {
    try {
      world_of(changed(kTorchrun, name, value));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(message("RANK", "8"), ContainsSubstring("RANK is '8'; expected a whole number from 0 to 7"));
  CHECK_THAT(message("RANK", "-1"), ContainsSubstring("RANK is '-1'"));
  CHECK_THAT(message("WORLD_SIZE", "0"), ContainsSubstring("WORLD_SIZE is '0'"));
  CHECK_THAT(message("WORLD_SIZE", "two"), ContainsSubstring("WORLD_SIZE is 'two'"));
  CHECK_THAT(message("LOCAL_RANK", "4"), ContainsSubstring("LOCAL_RANK is '4'; expected a whole number from 0 to 3"));
  CHECK_THAT(message("LOCAL_WORLD_SIZE", "9"), ContainsSubstring("LOCAL_WORLD_SIZE is '9'"));
  CHECK_THAT(message("MASTER_PORT", "70000"), ContainsSubstring("MASTER_PORT is '70000'"));
  CHECK_THAT(message("MASTER_PORT", "29400x"), ContainsSubstring("MASTER_PORT is '29400x'"));
}

TEST_CASE("a task of a SLURM step knows its place, its host and where rank 0 is", "[parallel][unit]") {
  const auto world = world_of(kSlurm);
  REQUIRE(world);
  CHECK(world->rank == 3);
  CHECK(world->size == 5);
  CHECK(world->local_rank == 1);
  CHECK(world->local_size == 2);
  CHECK(world->master_addr == "gpu003");
  CHECK(world->master_port == 15000 + (123456 + 97 * 2) % 15000);
  CHECK(world_of(changed(kSlurm, "SLURM_NODEID", "2"))->local_size == 2);  // never fewer than this task is in
  const auto overridden = world_of(changed(changed(kSlurm, "MASTER_ADDR", "ib-gpu003"), "MASTER_PORT", "4000"));
  CHECK(overridden->master_addr == "ib-gpu003");
  CHECK(overridden->master_port == 4000);
  CHECK(world_of(changed(kSlurm, "SLURM_STEP_NUM_TASKS", "4"))->size == 4);  // the step's, not the job's
}

TEST_CASE("torchrun inside a SLURM job comes first", "[parallel][unit]") {
  Variables both = kSlurm;
  both.insert(kTorchrun.begin(), kTorchrun.end());
  CHECK(world_of(both)->size == 8);
}

TEST_CASE("the batch script of a SLURM job and a step of one task are alone", "[parallel][unit]") {
  Variables batch = kSlurm;
  for (const char* name : {"SLURM_STEP_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"}) batch.erase(name);
  batch["SLURM_NODELIST"] = "gpu[003-004,9]";
  CHECK_FALSE(world_of(batch));
  CHECK_FALSE(world_of(changed(changed(kSlurm, "SLURM_PROCID", "0"), "SLURM_STEP_NUM_TASKS", "1")));
}

TEST_CASE("what SLURM leaves out or gets wrong is named", "[parallel][unit]") {
  for (const char* name : {"SLURM_NTASKS", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"}) {
    CHECK_THROWS_WITH(world_of(changed(kSlurm, name, nullptr)), ContainsSubstring(std::string(name) + " is not set"));
  }
  CHECK(world_of(changed(changed(kSlurm, "SLURM_STEP_NODELIST", nullptr), "SLURM_NODELIST", "a,b"))->master_addr ==
        "a");
  CHECK_THROWS_WITH(world_of(changed(kSlurm, "SLURM_PROCID", "5")), ContainsSubstring("SLURM_PROCID is '5'"));
  CHECK_THROWS_WITH(world_of(changed(kSlurm, "SLURM_STEP_TASKS_PER_NODE", "2(x")),
                    ContainsSubstring("SLURM_STEP_TASKS_PER_NODE"));
}

TEST_CASE("the first host of a SLURM node list is found", "[parallel][unit]") {
  const auto first = [](const char* text) { return first_slurm_host(text, "SLURM_NODELIST"); };
  CHECK(first("login") == "login");
  CHECK(first("a,b,c") == "a");
  CHECK(first("gpu[003-005,9],login") == "gpu003");
  CHECK(first("gpu[7]") == "gpu7");
  CHECK(first("gpu[12,1-3].cluster.org,x") == "gpu12.cluster.org");
  CHECK(first("rack[2-3]-node[08,10]") == "rack2-node08");
  for (const char* wrong : {"", ",a", "gpu[1-2", "gpu[]", "gpu]1[", "gpu[-3]"})
    CHECK_THROWS_WITH(first(wrong), ContainsSubstring("the environment variable SLURM_NODELIST is '"));
}

TEST_CASE("task counts of SLURM nodes are unfolded", "[parallel][unit]") {
  CHECK(slurm_tasks_per_node("4", "V") == std::vector<int>{4});
  CHECK(slurm_tasks_per_node("2(x3),1", "V") == std::vector<int>{2, 2, 2, 1});
  for (const char* wrong : {"", "x2", "2(x3", "2(x0)", "2,,1"})
    CHECK_THROWS_WITH(slurm_tasks_per_node(wrong, "V"), ContainsSubstring("the environment variable V is '"));
}
