#include "capstan/hub/datasets.h"

#include <set>

#include "capstan/core/error.h"
#include "capstan/hub/fetch.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::hub;

TEST_CASE("every data set has addresses, a folder and a checksum for each archive", "[hub][datasets]") {
  std::set<std::string> folders;
  for (const auto& dataset : datasets()) {
    INFO(dataset.name << " " << dataset.year);
    CHECK(folders.insert(dataset.folder).second);
    CHECK_FALSE(dataset.files.empty());
    for (const auto& file : dataset.files) {
      const std::string url = file.url, checksum = file.checksum;
      CHECK(url.starts_with("http"));
      CHECK(url.ends_with(".zip"));
      CHECK((checksum.starts_with("md5:") ? checksum.size() == 36 : checksum.size() == 71));
    }
  }
  CHECK(dataset_names() == std::vector<std::string>{"coco", "karpathy", "flickr8k", "flickr30k"});
}

TEST_CASE("options of repositories and of data sets are not mixed", "[hub][datasets]") {
  CHECK_THROWS_AS(fetch("coco", {.to = "never-made", .include = {"*.json"}}), UsageError);
  CHECK_THROWS_WITH(fetch("coco", {.to = "never-made", .split = {"test"}}),
                    ContainsSubstring("annotations, train, validation"));
  CHECK_THROWS_WITH(fetch("cocoa", {.split = {"train"}}), ContainsSubstring("Did you mean 'coco'?"));
}
