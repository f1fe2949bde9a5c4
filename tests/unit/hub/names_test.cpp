#include "capstan/hub/names.h"

#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;

TEST_CASE("names below a folder are fine, all others have a reason", "[hub][names]") {
  for (const char* name : {"config.json", "onnx/model.onnx", "a b", "..a", "a..", "caf\xc3\xa9.txt"})
    CHECK(name_problem(name).empty());
  CHECK(name_problem("") == "is empty");
  CHECK(name_problem("/etc/passwd") == "is an absolute path");
  CHECK(name_problem("../x") == "leads out of the folder");
  CHECK(name_problem("a/../../x") == "leads out of the folder");
  CHECK(name_problem("a/./x") == "has an empty part");
  CHECK(name_problem("a//x") == "has an empty part");
  CHECK(name_problem("a\\x") == "holds a backslash");
  CHECK(name_problem("a\nx") == "holds a control character");
  CHECK(name_problem(std::string_view("a\0x", 3)) == "holds a control character");
  CHECK(name_problem("\xff\xfe") == "is not UTF-8");
  CHECK(name_problem(std::string(256, 'x')) == "has a part of more than 255 bytes");
  CHECK_THROWS_WITH(check_file_name("../x", "the list"), ContainsSubstring("the list: the file name '../x'"));
}

TEST_CASE("text of a server is made fit for a terminal", "[hub][names]") {
  CHECK(printable("a\x1b[31mb") == "a?[31mb");
  CHECK(printable("\xff") == "?");
  CHECK(printable("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(printable("caf\xc3\xa9", 4) == "caf");
}

TEST_CASE("addresses are shown without signatures and passwords", "[hub][names]") {
  CHECK(public_url("https://cdn.example/x?Signature=abc#y") == "https://cdn.example/x");
  CHECK(public_url("https://me:secret@cdn.example/x") == "https://cdn.example/x");
  CHECK(public_url("https://cdn.example/a@b") == "https://cdn.example/a@b");
}

TEST_CASE("names are escaped for addresses", "[hub][names]") {
  CHECK(escape_url("a b/c#d", true) == "a%20b/c%23d");
  CHECK(escape_url("refs/pr/1", false) == "refs%2Fpr%2F1");
}

TEST_CASE("patterns go over folders, as huggingface_hub's do", "[hub][names]") {
  const std::vector<std::string> patterns{"*.json", "onnx/"};
  CHECK(matches_any("config.json", patterns));
  CHECK(matches_any("a/b/config.json", patterns));
  CHECK(matches_any("onnx/model.onnx", patterns));
  CHECK_FALSE(matches_any("onnx.txt", patterns));
}

TEST_CASE("a repository is a name, one with data sets in front, or its page", "[hub][names]") {
  const std::string endpoint = "https://huggingface.co";
  const Repository model = parse_repository("google/vit-base-patch16-224-in21k", endpoint);
  CHECK(model.api_path() == "/api/models/google/vit-base-patch16-224-in21k");
  CHECK(model.cache_folder() == "models--google--vit-base-patch16-224-in21k");
  CHECK(parse_repository("gpt2", endpoint).cache_folder() == "models--gpt2");
  CHECK(parse_repository("https://huggingface.co/a/b/", endpoint).id == "a/b");
  const Repository data = parse_repository("datasets/a/b", endpoint);
  CHECK(data.api_path() == "/api/datasets/a/b");
  CHECK(data.page() == "/datasets/a/b");
  CHECK(data.cache_folder() == "datasets--a--b");
  for (const char* bad : {"", "a/b/c", "../a", "a/..", "a b", "-a", "a--b/c", "https://elsewhere.example/a/b"})
    CHECK_THROWS_AS(parse_repository(bad, endpoint), UsageError);
}
