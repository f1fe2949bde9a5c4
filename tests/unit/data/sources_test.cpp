// What holds for every source: splits by files, hash or name, shares, counts, weights and strict options.
#include "capstan/data/source.h"

#include <cmath>
#include <set>

#include "source_fixture.h"

namespace capstan::testing {
namespace {

std::string numbered_csv(int first, int last) {
  std::string text = "image,caption\n";
  for (int i = first; i < last; ++i) text += std::to_string(i) + ".jpg,picture " + std::to_string(i) + "\n";
  return text;
}

std::string problems_of(const std::string& name, const std::string& yaml) {
  try {
    make_source(name, yaml);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every source documents its own options and those of all", "[data][sources]") {
  CHECK(sources().names() ==
        std::vector<std::string>{"coco", "csv", "flickr30k", "flickr8k", "jsonl", "karpathy", "scenes", "webdataset"});
  for (const auto& [name, entry] : sources().entries()) {
    const std::string table = entry.document();
    for (const char* key :
         {"| `split` ", "split_shares.validation", "split_shares.test", "split_seed", "`weight`", "max_images"})
      CHECK_THAT(table, ContainsSubstring(key));
    CHECK_FALSE(entry.summary.empty());
  }
}

TEST_CASE("an option that a source does not have is refused in every source", "[data][sources]") {
  for (const std::string& name : sources().names())
    CHECK_THAT(problems_of(name, "{max_image: 3}"), ContainsSubstring("max_image") && ContainsSubstring("max_images"));
}

TEST_CASE("wrong values of the common options are all reported", "[data][sources]") {
  const std::string text = problems_of("csv",
                                       "{file: a.csv, split: 'a b', weight: 0, max_images: -1, "
                                       "split_shares: {validation: 0.7, test: 0.6}}");
  CHECK_THAT(text, ContainsSubstring("split: found 'a b', expected files, hash or a split's name"));
  CHECK_THAT(text, ContainsSubstring("weight"));
  CHECK_THAT(text, ContainsSubstring("max_images"));
  CHECK_THAT(text, ContainsSubstring("validation 0.7 and test 0.6 are more than everything"));
  CHECK_THAT(problems_of("csv", "{file: a.csv, split_seed: 3}"), ContainsSubstring("only with split: hash"));
  CHECK_THAT(problems_of("csv", "{file: a.csv, split: train, split_shares: {test: 0.2}}"),
             ContainsSubstring("found split: train"));
}

TEST_CASE("a picture without a split is refused with what to do", "[data][sources]") {
  const auto files = files_with({{"a.csv", "image,caption\na.jpg,text\n"}});
  CHECK_THROWS_AS(files.read("csv", "{file: $/a.csv}"), DataError);
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv}"),
                    ContainsSubstring("the source csv: the picture a.jpg belongs to no split") &&
                        ContainsSubstring("split: hash") && ContainsSubstring("split: train"));
}

TEST_CASE("the name of a split takes every picture, whatever the files say", "[data][sources]") {
  const auto files = files_with({{"a.csv", "image,caption,split\na.jpg,one,test\nb.jpg,two,val\n"}});
  CHECK(files.read("csv", "{file: $/a.csv}").splits() ==
        std::map<std::string, std::string>{{"a.jpg", "test"}, {"b.jpg", "validation"}});
  CHECK(files.read("csv", "{file: $/a.csv, split: mine}").splits() ==
        std::map<std::string, std::string>{{"a.jpg", "mine"}, {"b.jpg", "mine"}});
}

TEST_CASE("a hash split keeps its shares and does not move when pictures are added", "[data][sources]") {
  const auto files = files_with({{"a.csv", numbered_csv(0, 4000)}, {"b.csv", numbered_csv(2000, 9000)}});
  const std::string rule = ", split: hash, split_shares: {validation: 0.2, test: 0.05}";
  const auto few = files.read("csv", "{file: $/a.csv" + rule + "}").splits();
  std::map<std::string, double> shares;
  for (const auto& [name, split] : few) shares[split] += 1.0 / 4000;
  // Four standard deviations of a binomial share of 4,000.
  CHECK(std::abs(shares["validation"] - 0.2) < 4 * std::sqrt(0.2 * 0.8 / 4000));
  CHECK(std::abs(shares["test"] - 0.05) < 4 * std::sqrt(0.05 * 0.95 / 4000));
  CHECK(shares.size() == 3);
  int moved = 0, common = 0;
  for (const auto& [name, split] : files.read("csv", "{file: $/b.csv" + rule + "}").splits()) {
    const auto before = few.find(name);
    common += before != few.end();
    moved += before != few.end() && before->second != split;
  }
  CHECK(common == 2000);
  CHECK(moved == 0);
  CHECK(files.read("csv", "{file: $/a.csv" + rule + ", split_seed: 1}").splits() != few);
}

TEST_CASE("a hash split goes by the name, not by the format", "[data][sources]") {
  std::string json = "{\"images\": [", token;
  for (int i = 0; i < 50; ++i) {
    const std::string name = std::to_string(i) + ".jpg";
    json += (i > 0 ? ", " : "") + ("{\"filename\": \"" + name) + "\", \"sentences\": [{\"raw\": \"x\"}]}";
    token += name + "#0\tx\n";
  }
  const auto files = files_with({{"d.json", json + "]}"}, {"t.token", token}, {"a.csv", numbered_csv(0, 50)}});
  const auto splits = files.read("csv", "{file: $/a.csv, split: hash}").splits();
  CHECK(files.read("karpathy", "{annotations: $/d.json, images: $, split: hash}").splits() == splits);
  CHECK(files.read("flickr8k", "{captions: $/t.token, images: $, split: hash}").splits() == splits);
}

TEST_CASE("max_images takes the first pictures of each split", "[data][sources]") {
  const auto files = files_with({{"a.csv", numbered_csv(0, 300)}});
  const auto all = files.read("csv", "{file: $/a.csv, split: hash}");
  const auto some = files.read("csv", "{file: $/a.csv, split: hash, max_images: 7}");
  std::map<std::string, std::vector<std::string>> expected, found;
  for (const auto& image : all.images)
    if (expected[image.split].size() < 7) expected[image.split].push_back(image.name);
  for (const auto& image : some.images) found[image.split].push_back(image.name);
  CHECK(found == expected);
  CHECK(files.read("csv", "{file: $/a.csv, split: train, max_images: 7}").images.size() == 7);
  CHECK(files.read("csv", "{file: $/a.csv, split: train, max_images: 1000}").images.size() == 300);
}

TEST_CASE("a source tells its weight and its rules", "[data][sources]") {
  const auto source = make_source("csv", "{file: a.csv, weight: 2.5, split: hash, split_seed: 4, max_images: 9}");
  CHECK(source->weight() == 2.5);
  CHECK(source->describe() ==
        "csv: a.csv; split by hash (validation 0.1, test 0.1, seed 4); at most 9 pictures a split");
  CHECK(make_source("csv", "{file: a.csv, split: dev}")->describe() == "csv: a.csv; all of it for dev");
  CHECK(make_source("csv", "{file: a.csv}")->weight() == 1);
}

}  // namespace capstan::testing
