#include "capstan/hub/environment.h"

#include <cstdlib>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Only these variables are set, until the object dies; the test program is one thread.
class Variables {
 public:
  explicit Variables(const Pairs& set) {
    for (const char* name : kAll) ::unsetenv(name);
    for (const auto& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const char* name : kAll) ::unsetenv(name);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  static constexpr const char* kAll[] = {"HF_ENDPOINT",   "HF_TOKEN",       "HF_HOME",        "HF_HUB_CACHE",
                                         "HF_TOKEN_PATH", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE"};
};

}  // namespace

TEST_CASE("without variables the public endpoint and the common cache are used", "[hub][environment]") {
  const Variables none(Pairs{});
  const Environment environment = read_environment();
  CHECK(environment.endpoint == "https://huggingface.co");
  CHECK(environment.cache == fs::path(std::getenv("HOME")) / ".cache/huggingface/hub");
  CHECK_FALSE(environment.offline);
}

TEST_CASE("the variables of huggingface_hub are honoured in its order", "[hub][environment]") {
  {
    const Variables set(Pairs{{"HF_ENDPOINT", "http://mirror:8080//"}, {"HF_HOME", "~/hf"}, {"HF_HUB_OFFLINE", "yes"}});
    const Environment environment = read_environment();
    CHECK(environment.endpoint == "http://mirror:8080");
    CHECK(environment.cache == fs::path(std::getenv("HOME")) / "hf/hub");
    CHECK(environment.offline);
  }
  const Variables set(Pairs{{"HF_HUB_CACHE", "/c1"}, {"HUGGINGFACE_HUB_CACHE", "/c2"}, {"HF_HOME", "/h"}});
  CHECK(read_environment().cache == "/c1");
}

TEST_CASE("a token given beats one set, which beats one in a file", "[hub][environment]") {
  const TempDir dir;
  write_file_atomic(dir.path() / "token", "  hf_file\n");
  const Variables file(Pairs{{"HF_HOME", dir.path().string()}});
  CHECK(read_environment().token == "hf_file");
  CHECK(read_environment().token_source == (dir.path() / "token").string());
  ::setenv("HF_TOKEN", "hf_set", 1);
  CHECK(read_environment().token == "hf_set");
  CHECK(read_environment("hf_given").token == "hf_given");
}

TEST_CASE("what cannot be sent is refused without being shown", "[hub][environment]") {
  {
    const Variables set(Pairs{{"HF_TOKEN", "secret\r\nX-Evil: 1"}});
    CHECK_THROWS_WITH(read_environment(), ContainsSubstring("HF_TOKEN") && !ContainsSubstring("secret"));
  }
  const Variables set(Pairs{{"HF_ENDPOINT", "ftp://x"}});
  CHECK_THROWS_AS(read_environment(), ConfigError);
}
