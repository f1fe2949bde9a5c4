// The csv and jsonl sources.
#include "source_fixture.h"

namespace capstan::testing {
namespace {

using Captions = std::map<std::string, std::vector<std::string>>;

}  // namespace

TEST_CASE("csv reads quotes, embedded lines and commas as RFC 4180 says", "[data][csv]") {
  const auto files =
      files_with({{"a.csv",
                   "image,caption\r\n1.jpg,\"one, two\"\r\n2.jpg,\"say \"\"hi\"\"\nagain\"\n3.jpg,a \"b\" c\r"
                   "\"4.jpg\",\"x\"y\n"}});
  const Reading reading = files.read("csv", "{file: $/a.csv, split: train}");
  CHECK(
      reading.captions() ==
      Captions{{"1.jpg", {"one, two"}}, {"2.jpg", {"say \"hi\"\nagain"}}, {"3.jpg", {"a \"b\" c"}}, {"4.jpg", {"xy"}}});
  CHECK(reading.ledger.empty());
}

TEST_CASE("csv fields can be named", "[data][csv]") {
  const auto files = files_with(
      {{"a.tsv", "id\tfile_name\tcaption_0\tcaption_1\tpart\n7\t1.jpg\tone\ttwo\tdev\n8\t2.jpg\t\tthree\ttesting\n"},
       {"photos/x", ""},
       {"b.csv", "image;caption;\n1.jpg;a, b;\n"}});
  const Reading reading = files.read("csv",
                                     "{file: $/a.tsv, separator: tab, image_field: file_name, split_field: part, "
                                     "caption_fields: [caption_0, caption_1], id_field: id, images: $/photos}");
  REQUIRE(reading.images.size() == 2);
  CHECK(reading.images[0].image_id == "7");
  CHECK(reading.images[0].file == files.path() / "photos/1.jpg");
  CHECK(reading.images[0].split == "validation");
  CHECK(reading.images[1].split == "test");
  CHECK(reading.captions() == Captions{{"1.jpg", {"one", "two"}}, {"2.jpg", {"three"}}});
  CHECK(reading.ledger.empty());
  CHECK(files.read("csv", "{file: $/b.csv, separator: ';', split: train}").captions() == Captions{{"1.jpg", {"a, b"}}});
}

TEST_CASE("rows of one picture are put together, wherever they are", "[data][csv][jsonl]") {
  const auto files =
      files_with({{"a.csv", "image,caption,split\na,1,\nb,2,\na,3,train\nc,4,test\nb,5,train\nc,6,train\nd,7,test\n"},
                  {"a.jsonl", R"({"image": "a", "caption": "1"}
{"image": "b", "caption": ["2"]}
{"image": "a", "caption": "3", "split": "train"}
{"image": "c", "caption": "4", "split": "test"}
{"image": "b", "caption": "5", "split": "train"}
{"image": "c", "caption": "6", "split": "train"}
{"image": "d", "caption": "7", "split": "test"})"}});
  for (const std::string format : {"csv", "jsonl"}) {
    const Reading reading = files.read(format, "{file: $/a." + format + "}");
    CHECK(reading.captions() == Captions{{"a", {"1", "3"}}, {"b", {"2", "5"}}, {"c", {"4"}}, {"d", {"7"}}});
    CHECK(reading.splits() ==
          std::map<std::string, std::string>{{"a", "train"}, {"b", "train"}, {"c", "test"}, {"d", "test"}});
    CHECK(reading.images.size() == 4);
    const std::string line = format == "csv" ? "7" : "6";
    CHECK(reading.lines() == std::vector<std::string>{"a." + format + ":" + line +
                                                      ": the row puts c into the split 'train', an earlier one into "
                                                      "'test'"});
  }
}

TEST_CASE("csv lists every row that it cannot take and goes on", "[data][csv]") {
  const auto files = files_with({{"a.csv",
                                  "image,caption\n1.jpg,kept\n2.jpg,\n3.jpg,a,b\n4.jpg\n,no name\n../5.jpg,out\n"
                                  "http://x/6.jpg,web\n7.jpg,\xFF\n8.jpg,\"open\n9.jpg,kept too\n"}});
  const Reading reading = files.read("csv", "{file: $/a.csv, split: train}");
  CHECK(reading.captions() == Captions{{"1.jpg", {"kept"}}, {"9.jpg", {"kept too"}}});
  CHECK(reading.lines() ==
        std::vector<std::string>{
            "a.csv:3: the caption is empty",
            "a.csv:4: the row has 3 fields, expected 2; text with separators needs quotes around it",
            "a.csv:5: the row has 1 fields, expected 2; text with separators needs quotes around it",
            "a.csv:6: the file name is empty: ", "a.csv:7: the file name leaves the image folder: ../5.jpg",
            "a.csv:8: the picture is a web address; download it and name the file: http://x/6.jpg",
            "a.csv:9: the caption is not valid UTF-8; save the file as UTF-8",
            "a.csv:10: a quote is opened and not closed; write a quote inside quotes twice"});
}

TEST_CASE("a row that has no end does not swallow the rows after it", "[data][csv]") {
  const std::string filler(1'600'000, 'x');
  const auto files = files_with({{"a.csv", "image,caption\n1.jpg," + filler + "\n2.jpg,kept\n3.jpg,\"open\n4.jpg," +
                                               std::string(1000, 'y') + "\n5.jpg," + filler + "\n6.jpg,kept\n"}});
  const Reading reading = files.read("csv", "{file: $/a.csv, split: train}");
  CHECK(reading.captions() == Captions{{"2.jpg", {"kept"}}, {"4.jpg", {std::string(1000, 'y')}}, {"6.jpg", {"kept"}}});
  CHECK(reading.lines() ==
        std::vector<std::string>{"a.csv:2: the row has more than 1048576 bytes",
                                 "a.csv:4: a quote is opened and not closed; write a quote inside quotes twice",
                                 "a.csv:6: the row has more than 1048576 bytes"});
}

TEST_CASE("csv says what is wrong with its heading and options", "[data][csv]") {
  const auto files = files_with({{"a.csv", "file,text\n1.jpg,a\n"}, {"empty.csv", "\n\n"}});
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv, split: train}"),
                    ContainsSubstring("a.csv:1: has no field 'image', found file, text; set 'image_field'"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv, image_field: file}"), ContainsSubstring("no field 'caption'"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv, image_field: file, caption_fields: [text], split_field: set}"),
                    ContainsSubstring("no field 'set'") && ContainsSubstring("'split_field'"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv, image_field: file, caption_fields: [text], id_field: n}"),
                    ContainsSubstring("no field 'n'") && ContainsSubstring("'id_field'"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/empty.csv}"),
                    ContainsSubstring("empty.csv: is empty, expected a heading"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/absent.csv}"),
                    ContainsSubstring("absent.csv: cannot open for reading"));
  CHECK_THROWS_WITH(files.read("csv", "{file: $/a.csv, images: $/nowhere}"),
                    ContainsSubstring("nowhere: the image folder does not exist") && ContainsSubstring("'images'"));
  CHECK_THROWS_WITH(files.read("csv", "{separator: ab, image_field: '', caption_fields: []}"),
                    ContainsSubstring("'file' is not set") && ContainsSubstring("separator: found 'ab'") &&
                        ContainsSubstring("'image_field' is empty") && ContainsSubstring("'caption_fields' is empty"));
}

TEST_CASE("absolute names are taken when they lie under the image folder", "[data][csv]") {
  const Files files;
  const std::string root = files.path().string();
  files.write("in/x", "");
  files.write("a.csv", "image,caption\n" + root + "/in/1.jpg,one\n" + root + "/inside/2.jpg,two\n" + root +
                           "/in/../3.jpg,three\n" + root + "/in//4.jpg,four\n");
  const Reading reading = files.read("csv", "{file: $/a.csv, images: $/in, split: train}");
  REQUIRE(reading.images.size() == 2);
  CHECK(reading.images[0].file == root + "/in/1.jpg");
  CHECK(reading.images[1].captions == std::vector<std::string>{"four"});
  CHECK(reading.ledger.size() == 2);
}

TEST_CASE("jsonl takes text or lists, ids and splits", "[data][jsonl]") {
  const auto files = files_with(
      {{"a.jsonl",
        "\xEF\xBB\xBF{\"image\": \"1.jpg\", \"caption\": \"one\", \"split\": \"val\", \"n\": 5}\r\n\n"
        "{\"image\": \"2.jpg\", \"caption\": [\"two\", \"zwei \\u00e4\"], \"split\": \"train\", \"n\": \"x\"}\n"
        "{\"image\": \"3.jpg\", \"caption\": \"three\", \"split\": \"train\", \"n\": null}"}});
  const Reading reading = files.read("jsonl", "{file: $/a.jsonl, id_field: n}");
  CHECK(reading.ledger.empty());
  REQUIRE(reading.images.size() == 3);
  CHECK(reading.images[0].image_id == "5");
  CHECK(reading.images[0].split == "validation");
  CHECK(reading.images[1].image_id == "x");
  CHECK(reading.images[1].captions == std::vector<std::string>{"two", "zwei \xC3\xA4"});
  CHECK(reading.images[2].image_id == "3.jpg");
}

TEST_CASE("jsonl lists every line that it cannot take and goes on", "[data][jsonl]") {
  const auto files =
      files_with({{"a.jsonl", R"({"image": "1.jpg", "caption": "kept"}
{"image": "2.jpg", "caption": "a"
[1]
{"caption": "b"}
{"image": 3, "caption": "b"}
{"image": "3.jpg"}
{"image": "4.jpg", "caption": 7}
{"image": "5.jpg", "caption": []}
{"image": "6.jpg", "caption": ["kept", "", null]}
{"image": "7.jpg", "caption": "a\u0000b"}
{"image": "8.jpg", "caption": 1e999}
)"
                              "{\"image\": \"9.jpg\", \"caption\": \"\xFF\"}\n" +
                                  std::string(100'000, '[') + "\n" + R"({"image": "10.jpg", "caption": "kept"})"}});
  const Reading reading = files.read("jsonl", "{file: $/a.jsonl, split: train}");
  CHECK(reading.captions() == Captions{{"1.jpg", {"kept"}}, {"10.jpg", {"kept"}}, {"6.jpg", {"kept"}}});
  const auto lines = reading.lines();
  CAPTURE(lines);
  REQUIRE(lines.size() == 13);
  CHECK_THAT(lines[0], ContainsSubstring("a.jsonl:2: broken JSON at column 34"));
  CHECK_THAT(lines[1], ContainsSubstring("a.jsonl:3: expected an object as"));
  CHECK(lines[2] == "a.jsonl:4: the record has no text 'image'; set 'image_field'");
  CHECK(lines[3] == "a.jsonl:5: the record has no text 'image'; set 'image_field'");
  CHECK(lines[4] == "a.jsonl:6: the record has no 'caption'; set 'caption_fields'");
  CHECK(lines[5] == "a.jsonl:7: 'caption' is neither text nor a list of texts");
  CHECK(lines[6] == "a.jsonl:8: the list 'caption' is empty");
  CHECK(lines[7] == "a.jsonl:9: the caption is empty");
  CHECK(lines[8] == "a.jsonl:9: 'caption' is neither text nor a list of texts");
  CHECK(lines[9] == "a.jsonl:10: the caption holds a zero byte");
  CHECK_THAT(lines[10], ContainsSubstring("a.jsonl:11: broken JSON"));
  CHECK_THAT(lines[11], ContainsSubstring("a.jsonl:12: broken JSON"));
  CHECK_THAT(lines[12], ContainsSubstring("a.jsonl:13: broken JSON") && ContainsSubstring("nested deeper than 256"));
}

TEST_CASE("a line of jsonl that is far too long is passed over", "[data][jsonl]") {
  const auto files = files_with({{"a.jsonl", std::string((std::size_t{1} << 24) + 1, ' ') +
                                                 "\n{\"image\": \"1.jpg\", \"caption\": \"kept\"}\n"}});
  const Reading reading = files.read("jsonl", "{file: $/a.jsonl, split: train}");
  CHECK(reading.images.size() == 1);
  CHECK(reading.lines() == std::vector<std::string>{"a.jsonl:1: the line has more than 16777216 bytes"});
}

}  // namespace capstan::testing
