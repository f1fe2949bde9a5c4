#include "source_fixture.h"

namespace capstan::testing {
namespace {

using Captions = std::map<std::string, std::vector<std::string>>;

const Captions kExpected{{"1.jpg", {"A dog , red .", "\"Quoted\" words"}}, {"2.jpg", {"Two | bars"}}};

}  // namespace

TEST_CASE("the three layouts of flickr captions give the same", "[data][flickr]") {
  const auto files = files_with(
      {{"t.token", "1.jpg#0\tA dog , red .\n1.jpg#1\t\"Quoted\" words\n2.jpg#0\tTwo | bars\n"},
       {"c.txt", "image,caption\n1.jpg,\"A dog , red .\"\n1.jpg,\"\"\"Quoted\"\" words\"\n2.jpg,Two | bars\n"},
       {"r.csv",
        "image_name| comment_number| comment\n1.jpg| 0| A dog , red .\n"
        "1.jpg| 1| \"Quoted\" words\n2.jpg| 0| Two | bars\n"}});
  for (const char* source : {"flickr8k", "flickr30k"})
    for (const char* name : {"t.token", "c.txt", "r.csv"}) {
      INFO(name);
      const Reading reading = files.read(source, "{captions: $/" + std::string(name) + ", images: $/, split: train}");
      CHECK(reading.captions() == kExpected);
      CHECK(reading.ledger.empty());
      CHECK(reading.images[0].image_id == "1.jpg");
      CHECK(reading.images[0].file == files.path() / "1.jpg");
    }
}

TEST_CASE("byte-order marks, carriage returns and empty lines change nothing", "[data][flickr]") {
  const auto files = files_with({{"t.token", "\xEF\xBB\xBF\r\n1.jpg#0\tone\r\n\r\n2.jpg#0\ttwo"},
                                 {"c.txt", "\xEF\xBB\xBFimage,caption\r\n\r\n1.jpg,one\r\n2.jpg,two"}});
  const Captions expected{{"1.jpg", {"one"}}, {"2.jpg", {"two"}}};
  CHECK(files.read("flickr8k", "{captions: $/t.token, images: $, split: train}").captions() == expected);
  CHECK(files.read("flickr8k", "{captions: $/c.txt, images: $, split: train}").captions() == expected);
}

TEST_CASE("the line of results.csv that lacks a bar is mended", "[data][flickr]") {
  const auto files = files_with({{"r.csv",
                                  "image_name| comment_number| comment\n2199200615.jpg| 3| A dog .\n"
                                  "2199200615.jpg| 4   A dog runs across the grass .\n3.jpg| 0\n4.jpg\n5.jpg| 1| \n"}});
  const Reading reading = files.read("flickr30k", "{captions: $/r.csv, images: $, split: train}");
  CHECK(reading.captions() == Captions{{"2199200615.jpg", {"A dog .", "A dog runs across the grass ."}}});
  CHECK(reading.lines() == std::vector<std::string>{"r.csv:4: the line has 2 of the 3 fields between bars",
                                                    "r.csv:5: the line has 1 of the 3 fields between bars",
                                                    "r.csv:6: the caption is empty"});
}

TEST_CASE("flickr lists every line that it cannot take", "[data][flickr]") {
  const auto files = files_with({{"t.token",
                                  "1.jpg#0\tkept\n1.jpg#1 no tab\n2.jpg\tno number\n#0\tno name\n1.jpg#2\t  \n"
                                  "1.jpg#3\t\xC3\x28\n../3.jpg#0\tout\n/etc/3.jpg#0\tout\n"},
                                 {"c.txt", "image,caption\n1.jpg,kept\n2.jpg,a, b\n3.jpg\n"}});
  const Reading token = files.read("flickr8k", "{captions: $/t.token, images: $, split: train}");
  CHECK(token.captions() == Captions{{"1.jpg", {"kept"}}});
  const std::string shape = "expected NAME#NUMBER, a tab and the caption";
  auto lines = token.lines();
  REQUIRE(lines.size() == 7);
  CHECK(lines[0] == "t.token:2: " + shape);
  CHECK(lines[1] == "t.token:3: " + shape);
  CHECK(lines[2] == "t.token:4: " + shape);
  CHECK(lines[3] == "t.token:5: the caption is empty");
  CHECK(lines[4] == "t.token:6: the caption is not valid UTF-8; save the file as UTF-8");
  CHECK(lines[5] == "t.token:7: the file name leaves the image folder: ../3.jpg");
  CHECK(lines[6] == "t.token:8: the file name leaves the image folder: /etc/3.jpg");
  const Reading csv = files.read("flickr8k", "{captions: $/c.txt, images: $, split: train}");
  CHECK(csv.lines() ==
        std::vector<std::string>{"c.txt:3: the row has 3 fields, expected 2; text with commas needs quotes around it",
                                 "c.txt:4: the row has 1 fields, expected 2; text with commas needs quotes around it"});
}

TEST_CASE("split lists give flickr pictures their splits", "[data][flickr]") {
  const auto files = files_with({{"t.token", "1.jpg#0\ta\n2.jpg#0\tb\n3.jpg#0\tc\n4.jpg#0\td\n4.jpg.1#0\te\n"},
                                 {"train.txt", "1.jpg\r\n\n"},
                                 {"val.txt", "2"},
                                 {"test.txt", "3.jpg\n9.jpg\n"}});
  const std::string yaml =
      "captions: $/t.token, images: $, train_list: $/train.txt, validation_list: $/val.txt, "
      "test_list: $/test.txt";
  const std::map<std::string, std::string> listed{{"1.jpg", "train"}, {"2.jpg", "validation"}, {"3.jpg", "test"}};
  const Reading dropped = files.read("flickr8k", "{" + yaml + "}");
  CHECK(dropped.splits() == listed);
  CHECK(dropped.ledger.empty());
  auto rest = listed;
  rest["4.jpg"] = rest["4.jpg.1"] = "train";
  CHECK(files.read("flickr8k", "{" + yaml + ", unlisted: train}").splits() == rest);
}

TEST_CASE("split lists that contradict each other or are empty are refused", "[data][flickr]") {
  const auto files = files_with(
      {{"t.token", "1.jpg#0\ta\n"}, {"train.txt", "1.jpg\n"}, {"test.txt", "2.jpg\n1.jpg\n"}, {"no.txt", "\n"}});
  const auto read = [&](const std::string& lists) {
    return files.read("flickr8k", "{captions: $/t.token, images: $, " + lists + "}");
  };
  CHECK_THROWS_WITH(read("train_list: $/train.txt, test_list: $/test.txt"),
                    ContainsSubstring("test.txt:2: the picture 1.jpg is also in the list of train"));
  CHECK_THROWS_WITH(read("train_list: $/no.txt"),
                    ContainsSubstring("no.txt: is empty, expected the name of a picture"));
  CHECK_THROWS_WITH(read("train_list: $/absent.txt"), ContainsSubstring("absent.txt: cannot open for reading"));
  CHECK_THROWS_WITH(read("train_list: $/train.txt, unlisted: 'a b'"), ContainsSubstring("unlisted: found 'a b'"));
}

TEST_CASE("flickr says what is wrong with its files", "[data][flickr]") {
  const auto files = files_with({{"odd.txt", "\nfile;text\n1.jpg;a\n"},
                                 {"empty.txt", ""},
                                 {"wide.txt", std::string("\xFF\xFEi\0m\0", 6)},
                                 {"order.csv", "comment|image_name\na|1.jpg\n"}});
  const auto read = [&](const std::string& name) {
    return files.read("flickr8k", "{captions: $/" + name + ", images: $, split: train}");
  };
  CHECK_THROWS_WITH(read("odd.txt"), ContainsSubstring("odd.txt:2: expected a line as 'NAME.jpg#0'") &&
                                         ContainsSubstring("found 'file;text'"));
  CHECK_THROWS_WITH(read("empty.txt"), ContainsSubstring("empty.txt:1: expected a line"));
  CHECK_THROWS_WITH(read("wide.txt"), ContainsSubstring("wide.txt: is UTF-16, expected UTF-8"));
  CHECK_THROWS_WITH(read("order.csv"), ContainsSubstring("order.csv:1: expected a line"));
  CHECK_THROWS_WITH(read("absent.txt"), ContainsSubstring("absent.txt: cannot open for reading"));
  CHECK_THROWS_WITH(read("."), ContainsSubstring("is a folder, expected a file"));
  CHECK_THROWS_WITH(files.read("flickr8k", "{captions: $/odd.txt, images: $/nowhere}"),
                    ContainsSubstring("nowhere: the image folder does not exist"));
  CHECK_THROWS_WITH(files.read("flickr30k", "{}"),
                    ContainsSubstring("'captions' is not set") && ContainsSubstring("'images' is not set"));
}

}  // namespace capstan::testing
