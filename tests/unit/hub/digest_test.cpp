#include "capstan/hub/digest.h"

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;

// Expected values: sha256sum, md5sum and `git hash-object` of a file that holds "hello\n".
TEST_CASE("checksums are those of sha256sum, md5sum and git", "[hub][digest]") {
  const TempDir dir;
  write_file_atomic(dir.path() / "a", "hello\n");
  CHECK(digest_file(dir.path() / "a", DigestKind::kSha256) ==
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  CHECK(digest_file(dir.path() / "a", DigestKind::kGitBlob) == "ce013625030ba8dba906f756967f9e9ca394464a");
  CHECK(digest_file(dir.path() / "a", DigestKind::kMd5) == "b1946ac92492d2347c6235b4d2611184");
}

TEST_CASE("a checksum in pieces is that of the whole", "[hub][digest]") {
  Digest digest(DigestKind::kGitBlob, 6);
  digest.update("hel");
  digest.update("");
  digest.update("lo\n");
  CHECK(digest.hex() == "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST_CASE("the checksum of a missing file names it", "[hub][digest]") {
  CHECK_THROWS_WITH(digest_file("none.bin", DigestKind::kMd5), ContainsSubstring("none.bin"));
}

TEST_CASE("an ETag says by its length what it is", "[hub][digest]") {
  CHECK(checksum_of_etag(std::string(64, 'a')).kind == DigestKind::kSha256);
  CHECK(checksum_of_etag(std::string(40, 'a')).kind == DigestKind::kGitBlob);
  CHECK_FALSE(checksum_of_etag(std::string(40, 'x')).known());
  CHECK_FALSE(checksum_of_etag("abc").known());
  CHECK_FALSE(checksum_of_etag("").known());
}
