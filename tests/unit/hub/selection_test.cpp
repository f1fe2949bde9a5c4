#include "capstan/hub/selection.h"

#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;
using Names = std::vector<std::string>;

namespace {

Names pick(const Names& names, const Names& include = {}, const Names& exclude = {}, bool everything = false) {
  return select_files(names, everything, include, exclude, "repo").names;
}

}  // namespace

TEST_CASE("of several formats of weights the safest is taken", "[hub][selection]") {
  CHECK(pick({"config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "README.md"}) ==
        Names{"config.json", "model.safetensors"});
  CHECK(pick({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
              "pytorch_model.bin"})
            .size() == 3);
  CHECK(pick({"config.json", "pytorch_model.bin", "rust_model.ot"}) == Names{"config.json", "pytorch_model.bin"});
  CHECK(pick({"pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "x.bin"}).size() == 2);
}

TEST_CASE("files in subfolders are exports and stay", "[hub][selection]") {
  CHECK(pick({"config.json", "model.safetensors", "onnx/config.json", "onnx/model.safetensors"}).size() == 2);
}

TEST_CASE("adapters need no other weights", "[hub][selection]") {
  const Selection adapter =
      select_files(Names{"adapter_config.json", "adapter_model.safetensors"}, false, {}, {}, "repo");
  CHECK(adapter.names.size() == 2);
  CHECK(adapter.warning.empty());
  CHECK_THAT(select_files(Names{"tokenizer.json", "tf_model.h5"}, false, {}, {}, "repo").warning,
             ContainsSubstring("no weights"));
}

TEST_CASE("patterns take the place of the choice", "[hub][selection]") {
  const Names names{"README.md", "config.json", "a/x.json"};
  CHECK(pick(names, {"*.json"}) == Names{"config.json", "a/x.json"});
  CHECK(pick(names, {"*.json"}, {"a/"}) == Names{"config.json"});
  CHECK(pick(names, {}, {}, true) == names);
  CHECK_THROWS_WITH(pick(names, {"confg.json"}), ContainsSubstring("Did you mean 'config.json'?"));
  CHECK_THROWS_WITH(pick({"README.md"}), ContainsSubstring("nothing to fetch; it holds: README.md"));
}
