#include "capstan/hub/cache.h"

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;

namespace {

const std::string kCommit(40, 'c');

Cache cache_in(const TempDir& dir) { return Cache(dir.path(), parse_repository("a/b", "https://huggingface.co")); }

void put_blob(const Cache& cache, const std::string& etag, const std::string& text) {
  make_folder(cache.blob(etag).parent_path());
  write_file_atomic(cache.blob(etag), text);
}

}  // namespace

TEST_CASE("links of a snapshot are relative, so that the cache can be moved", "[hub][cache]") {
  const TempDir dir;
  const Cache cache = cache_in(dir);
  put_blob(cache, "e1", "hello");
  CHECK_FALSE(cache.holds(kCommit, "config.json", 5));
  cache.link(kCommit, "config.json", "e1");
  cache.link(kCommit, "sub/folder/config.json", "e1");
  CHECK(cache.holds(kCommit, "config.json", 5));
  CHECK(cache.holds(kCommit, "sub/folder/config.json", std::nullopt));
  CHECK_FALSE(cache.holds(kCommit, "config.json", 6));
  CHECK(fs::read_symlink(cache.snapshot(kCommit) / "config.json") == "../../blobs/e1");
  CHECK(fs::read_symlink(cache.snapshot(kCommit) / "sub/folder/config.json") == "../../../../blobs/e1");
  fs::rename(dir.path() / "models--a--b", dir.path() / "moved");
  CHECK(read_file(dir.path() / "moved/snapshots" / kCommit / "config.json") == "hello");
}

TEST_CASE("a link to other bytes is replaced", "[hub][cache]") {
  const TempDir dir;
  const Cache cache = cache_in(dir);
  put_blob(cache, "e1", "old");
  put_blob(cache, "e2", "new");
  cache.link(kCommit, "x", "e1");
  cache.link(kCommit, "x", "e2");
  CHECK(read_file(cache.snapshot(kCommit) / "x") == "new");
}

TEST_CASE("a branch is remembered, a commit is its own name", "[hub][cache]") {
  const TempDir dir;
  const Cache cache = cache_in(dir);
  CHECK_FALSE(cache.read_ref("main").has_value());
  cache.write_ref("main", kCommit);
  cache.write_ref("refs/pr/1", kCommit);
  cache.write_ref(kCommit, kCommit);
  CHECK(cache.read_ref("main") == kCommit);
  CHECK(read_file(dir.path() / "models--a--b/refs/main") == kCommit);
  CHECK(fs::exists(dir.path() / "models--a--b/refs/refs/pr/1"));
  CHECK_FALSE(fs::exists(dir.path() / "models--a--b/refs" / kCommit));
  CHECK(cache.read_ref(kCommit) == kCommit);
  write_file_atomic(dir.path() / "models--a--b/refs/main", "../../etc");
  CHECK_FALSE(cache.read_ref("main").has_value());
}
