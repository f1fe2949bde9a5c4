// The weights of a folder, in one file or in shards, and what is said when they are not there.
#include <ATen/ATen.h>

#include <fstream>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"
#include "support/torch_archive.h"

namespace {

using namespace capstan;

void write_index(const fs::path& folder, const std::string& text) {
  std::ofstream(folder / "model.safetensors.index.json") << text;
}

}  // namespace

TEST_CASE("shards are read through their index", "[checkpoint][pretrained]") {
  const TempDir folder;
  write_safetensors(folder.path() / "one.safetensors", {{"a", at::ones({2})}, {"b", at::zeros({3})}});
  write_safetensors(folder.path() / "two.safetensors", {{"c", at::full({1}, 5)}});
  write_index(folder.path(), R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"}})");
  const TensorMap tensors = read_pretrained_tensors(folder.path());
  REQUIRE(tensors.size() == 3);
  CHECK(tensors.at("c").item<int>() == 5);

  fs::remove(folder.path() / "two.safetensors");
  CHECK_THROWS_WITH(
      read_pretrained_tensors(folder.path()),
      ContainsSubstring("the file \"two.safetensors\" that model.safetensors.index.json lists is missing"));
}

TEST_CASE("an index that lies is refused", "[checkpoint][pretrained]") {
  const TempDir folder;
  write_safetensors(folder.path() / "one.safetensors", {{"a", at::ones({2})}});
  const auto complaint = [&](const std::string& index) {
    write_index(folder.path(), index);
    try {
      read_pretrained_tensors(folder.path());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(complaint(R"({"weight_map":{"a":"one.safetensors"}})") == "no error");
  CHECK_THAT(complaint(R"({"weight_map":{"z":"one.safetensors"}})"),
             ContainsSubstring("says that \"z\" is in \"one.safetensors\", which does not hold it"));
  CHECK_THAT(complaint(R"({"weight_map":{"a":"../one.safetensors"}})"), ContainsSubstring("expected a file name"));
  CHECK_THAT(complaint(R"({"weight_map":{"a":"/etc/passwd"}})"), ContainsSubstring("expected a file name"));
  CHECK_THAT(complaint(R"({"weight_map":{"a":"one\u0000.safetensors"}})"), ContainsSubstring("expected a file name"));
  CHECK_THAT(complaint(R"({"weight_map":{"a":3}})"), ContainsSubstring("is not a string"));
  CHECK_THAT(complaint(R"({"weight_map":[]})"), ContainsSubstring("has no 'weight_map' object"));
  CHECK_THAT(complaint("[]"), ContainsSubstring("has no 'weight_map' object"));
  CHECK_THAT(complaint("{"), ContainsSubstring("model.safetensors.index.json"));
}

TEST_CASE("a folder without weights says what it needs", "[checkpoint][pretrained]") {
  const TempDir folder;
  CHECK_THROWS_WITH(read_pretrained_tensors(folder.path()),
                    ContainsSubstring("has neither model.safetensors nor model.safetensors.index.json"));
  CHECK_THROWS_WITH(read_pretrained_tensors(folder.path() / "absent"), ContainsSubstring("no such folder"));
}

TEST_CASE("files of torch.save are read where there is no safetensors file", "[checkpoint][pretrained]") {
  const TempDir folder;
  const auto write = [&](const char* name, const TensorMap& tensors) {
    std::ofstream(folder.path() / name, std::ios::binary) << testing::torch_file(tensors);
  };
  write("one.bin", {{"a", at::ones({2})}});
  write("two.bin", {{"b", at::full({3}, 2)}});
  std::ofstream(folder.path() / "pytorch_model.bin.index.json") << R"({"weight_map":{"a":"one.bin","b":"two.bin"}})";
  CHECK(read_pretrained_tensors(folder.path()).at("b").sum().item<int>() == 6);
  write("pytorch_model.bin", {{"c", at::ones({4})}});
  CHECK(read_pretrained_tensors(folder.path()).contains("c"));
  write_safetensors(folder.path() / "model.safetensors", {{"d", at::ones({1})}});
  CHECK(read_pretrained_tensors(folder.path()).contains("d"));
}
