// What the records mean is checked with tensorboard's reader in tests/parity/test_tensorboard.py.
#include "capstan/report/events.h"

#include <cstring>
#include <regex>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "report/crc32c.h"
#include "support/catch.h"
#include "support/resource_limit.h"

using namespace capstan;

namespace {

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

// The messages of a whole file; every checksum is checked.
std::vector<std::string> records(const fs::path& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> found;
  for (std::size_t at = 0; at < bytes.size();) {
    REQUIRE(bytes.size() - at >= 16);
    const auto length = little_endian(bytes.substr(at, 8));
    REQUIRE(bytes.size() - at >= 16 + length);
    REQUIRE(little_endian(bytes.substr(at + 8, 4)) == report::masked_crc32c(bytes.substr(at, 8)));
    found.push_back(bytes.substr(at + 12, length));
    REQUIRE(little_endian(bytes.substr(at + 12 + length, 4)) == report::masked_crc32c(found.back()));
    at += 16 + length;
  }
  return found;
}

}  // namespace

TEST_CASE("an event file begins with its version and a start of the session", "[report][events]") {
  const TempDir temp;
  EventWriter events(temp.path() / "tensorboard");
  const auto found = records(events.path());
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("brain.Event:2") != std::string::npos);
  CHECK(found[1].ends_with(std::string("\x3A\x02\x08\x01")));  // session_log { status: START }
}

TEST_CASE("event files are named so that TensorBoard finds them, in the order of their making", "[report][events]") {
  const TempDir temp;
  const EventWriter first(temp.path()), second(temp.path()), third(temp.path());
  CHECK(std::regex_match(first.path().filename().string(),
                         std::regex(R"(events\.out\.tfevents\.\d{10}\.[^/]+\.\d+\.\d+)")));
  CHECK(first.path().filename() < second.path().filename());
  CHECK(second.path().filename() < third.path().filename());
}

TEST_CASE("points are in the file once they are flushed, whole", "[report][events]") {
  const TempDir temp;
  EventWriter events(temp.path());
  events.scalar("train/loss", 10, 2.5);
  events.text("captions", 10, "a *dog*");
  events.image("picture", 10, 2, 3, "bytes of a file");
  CHECK(records(events.path()).size() == 2);
  events.flush();
  CHECK(records(events.path()).size() == 5);
  const fs::path path = events.path();
  {
    EventWriter other(temp.path());
    other.scalar("train/loss", 20, 2.0);
    CHECK(records(other.path()).size() == 2);
  }
  CHECK(records(path).size() == 5);
}

TEST_CASE("a full disk leaves whole records, and writing goes on when there is room again", "[report][events]") {
  const TempDir temp;
  EventWriter events(temp.path());
  events.scalar("a", 1, 1);
  events.flush();
  const auto size = fs::file_size(events.path());
  events.text("long", 2, std::string(1000, 'x'));
  {
    const testing::ResourceLimit limit(RLIMIT_FSIZE, size + 100);
    CHECK_THROWS_WITH(events.flush(), ContainsSubstring(events.path().string()));
  }
  CHECK(fs::file_size(events.path()) == size);
  events.flush();
  CHECK(records(events.path()).size() == 4);
}

TEST_CASE("a folder that cannot be made is named", "[report][events]") {
  const TempDir temp;
  write_file_atomic(temp.path() / "file", "");
  CHECK_THROWS_WITH(EventWriter(temp.path() / "file/tensorboard"), ContainsSubstring("file/tensorboard"));
}
