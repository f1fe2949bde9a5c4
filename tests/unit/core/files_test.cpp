#include "capstan/core/files.h"

#include <fstream>

#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;

TEST_CASE("an atomic write replaces the whole file and leaves nothing beside it", "[core][files]") {
  const TempDir dir;
  const auto path = dir.path() / "a.txt";
  write_file_atomic(path, "first");
  write_file_atomic(path, "second, longer");
  CHECK(read_file(path) == "second, longer");
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("a folder that fails half-way leaves no trace", "[core][files]") {
  const TempDir dir;
  const auto target = dir.path() / "checkpoint";
  CHECK_THROWS_WITH(write_directory_atomic(target,
                                           [](const fs::path& temporary) {
                                             std::ofstream(temporary / "half") << "x";
                                             throw DataError("disk full");
                                           }),
                    "disk full");
  CHECK(fs::is_empty(dir.path()));
  write_directory_atomic(target, [](const fs::path& temporary) { std::ofstream(temporary / "whole") << "x"; });
  CHECK(read_file(target / "whole") == "x");
}

TEST_CASE("reading says which file is missing, a folder or too large", "[core][files]") {
  const TempDir dir;
  CHECK_THROWS_WITH(read_file(dir.path() / "none.json"),
                    ContainsSubstring("none.json") && ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(read_file(dir.path()), ContainsSubstring("is a folder"));
  write_file_atomic(dir.path() / "big", "12345");
  CHECK_THROWS_WITH(read_file(dir.path() / "big", 4), ContainsSubstring("has 5 bytes, expected at most 4"));
}

TEST_CASE("checksums are XXH3-128 with the seed of xxhsum", "[core][files]") {
  const TempDir dir;
  write_file_atomic(dir.path() / "empty", "");
  // The published value of XXH3-128 for empty input and seed 0.
  CHECK(checksum_file(dir.path() / "empty") == "xxh128:99aa06d3014798d86001c324468d497f");
  CHECK(checksum_bytes("a") != checksum_bytes("b"));
}

TEST_CASE("an output folder with files is refused unless allowed", "[core][files]") {
  const TempDir dir;
  write_file_atomic(dir.path() / "old", "x");
  CHECK_THROWS_WITH(require_output_directory(dir.path(), false),
                    ContainsSubstring("not empty") && ContainsSubstring("overwrite=true"));
  CHECK_NOTHROW(require_output_directory(dir.path(), true));
  CHECK_NOTHROW(require_output_directory(dir.path() / "new" / "deep", false));
}
