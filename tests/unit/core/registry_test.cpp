#include "capstan/core/registry.h"

#include "capstan/core/device.h"
#include "capstan/core/signals.h"
#include "support/catch.h"

#include <csignal>

using namespace capstan;

namespace {
struct Entry {
  std::string name, summary;
};
}  // namespace

TEST_CASE("an unknown plug-in is answered with the known ones", "[core][registry]") {
  Registry<Entry> metrics("metric");
  metrics.add({"rouge", "ROUGE"});
  metrics.add({"bleu", "BLEU"});
  CHECK(metrics.find("rouge").summary == "ROUGE");
  CHECK_THROWS_WITH(metrics.find("rogue"), "unknown metric 'rogue'; known: bleu, rouge. Did you mean 'rouge'?");
  CHECK_THROWS_AS(metrics.add({"rouge", "again"}), Error);
}

TEST_CASE("devices and number types are understood by their names", "[core][device]") {
  CHECK(parse_device("cpu").is_cpu());
  CHECK_THROWS_WITH(parse_device("gpu"), ContainsSubstring("expected auto, cpu, cuda or cuda:N"));
  CHECK_THROWS_AS(parse_device("cuda:99"), ConfigError);
  CHECK_THROWS_AS(parse_device("cuda:x"), ConfigError);
  CHECK(parse_dtype("bf16") == c10::kBFloat16);
  CHECK(dtype_name(c10::kHalf) == "float16");
  CHECK_THROWS_WITH(parse_dtype("int7"), ContainsSubstring("expected float32"));
}

TEST_CASE("a stop request carries the exit code of its signal", "[core][signals]") {
  CHECK_FALSE(stop_requested());
  request_stop(SIGTERM);
  CHECK(stop_requested());
  CHECK(stop_exit_code() == 143);
  request_stop(SIGINT);
  CHECK(stop_exit_code() == 130);
  request_stop(0);
  CHECK_FALSE(stop_requested());
}
