#include <fmt/format.h>

#include "source_fixture.h"

namespace capstan::testing {
namespace {

using Captions = std::map<std::string, std::vector<std::string>>;

std::string padded(std::string bytes) { return bytes.append((512 - bytes.size() % 512) % 512, '\0'); }

struct Header {
  std::string name;
  std::uint64_t size = 0;
  char type = '0';
  std::string magic = std::string("ustar\0", 6) + "00";
  std::string prefix;
  std::string size_field;  // instead of the octal size
};

// A header block with its checksum.
std::string block(const Header& header) {
  std::string bytes(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { bytes.replace(at, text.size(), text); };
  put(0, header.name.substr(0, 100));
  put(100, "0000644");
  put(124, header.size_field.empty() ? fmt::format("{:011o}", header.size) : header.size_field);
  put(136, "00000000000");
  put(148, "        ");
  bytes[156] = header.type;
  put(257, header.magic);
  put(345, header.prefix);
  unsigned sum = 0;
  for (const char c : bytes) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return bytes;
}

std::string special(Header header, const std::string& bytes) {
  header.size = bytes.size();
  return block(header) + padded(bytes);
}
std::string member(const std::string& name, const std::string& bytes) { return special(Header{.name = name}, bytes); }

std::string pax(const std::string& records) { return special({.name = "PaxHeader", .type = 'x'}, records); }

const std::string kEnd(1024, '\0');

Reading read_tar(const std::string& bytes, const std::string& more = "") {
  const auto files = files_with({{"a.tar", bytes}});
  return files.read("webdataset", "{shards: $/a.tar, split: train" + more + "}");
}

}  // namespace

TEST_CASE("webdataset finds pictures and captions in place", "[data][webdataset]") {
  const std::string tar = member("./", "") + member("x/0001.jpg", "PICTURE1") + member("x/0001.txt", "a dog\n") +
                          member("0002.cls", "5") + member("0002.json", R"({"caption": ["one", "two"], "w": 3})") +
                          member("0002.PNG", "PIC2") + kEnd;
  const Reading reading = read_tar(tar);
  CHECK(reading.ledger.empty());
  REQUIRE(reading.images.size() == 2);
  CHECK(reading.captions() == Captions{{"x/0001.jpg", {"a dog"}}, {"0002.PNG", {"one", "two"}}});
  CHECK(reading.images[0].image_id == "x/0001");
  for (const auto& [index, bytes] : std::initializer_list<std::pair<std::size_t, std::string>>{
           std::pair<std::size_t, std::string>{0, "PICTURE1"}, {1, "PIC2"}}) {
    const CaptionedImage& image = reading.images[index];
    CHECK(image.file.filename() == "a.tar");
    CHECK(image.size == bytes.size());
    CHECK(tar.substr(image.offset, image.size) == bytes);
  }
}

TEST_CASE("webdataset takes its captions from where it is told", "[data][webdataset]") {
  const std::string tar =
      member("1.jpg", "P") + member("1.txt", "text") + member("1.json", R"({"caption": "json", "t": "key"})") + kEnd;
  CHECK(read_tar(tar).captions() == Captions{{"1.jpg", {"text"}}});
  CHECK(read_tar(tar, ", captions_from: txt").captions() == Captions{{"1.jpg", {"text"}}});
  CHECK(read_tar(tar, ", captions_from: json").captions() == Captions{{"1.jpg", {"json"}}});
  CHECK(read_tar(tar, ", captions_from: json, json_key: t").captions() == Captions{{"1.jpg", {"key"}}});
}

TEST_CASE("tar names and sizes are read in every dialect", "[data][webdataset]") {
  const std::string long_name = "folder/" + std::string(150, 'n');
  const auto gnu = [&](const std::string& name) {
    return special({.name = "././@LongLink", .type = 'L', .magic = "ustar  "}, name + '\0');
  };
  const auto record = [](const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (rest + std::to_string(length).size() != length) ++length;
    return fmt::format("{} {}={}\n", length, key, value);
  };
  const std::string binary_size = "\x80" + std::string(10, '\0') + "\x04";
  const std::string tar =
      gnu(long_name + ".jpg") + member("cut.jpg", "GNU") + gnu(long_name + ".txt") + member("cut.txt", "gnu") +
      special({.name = "global", .type = 'g'}, record("comment", "x")) +
      pax(record("mtime", "1.5") + record("path", "p/" + long_name + ".jpg")) + member("other.jpg", "PAX") +
      pax(record("path", "p/" + long_name + ".txt") + record("size", "3")) +
      block({.name = "other.txt", .size_field = "00000000000"}) + padded("pax") +
      special({.name = "u.jpg", .prefix = "pre/fix"}, "USTAR") +
      special({.name = "u.txt", .prefix = "pre/fix"}, "ustar") + block({.name = "b.jpg", .size_field = binary_size}) +
      padded("BASE") + special({.name = "b.txt", .type = '\0', .magic = ""}, "old") + kEnd;
  const Reading reading = read_tar(tar);
  CHECK(reading.lines() == std::vector<std::string>{});
  CHECK(reading.captions() == Captions{{long_name + ".jpg", {"gnu"}},
                                       {"p/" + long_name + ".jpg", {"pax"}},
                                       {"pre/fix/u.jpg", {"ustar"}},
                                       {"b.jpg", {"old"}}});
  std::vector<std::string> pictures;
  for (const auto& image : reading.images) pictures.push_back(tar.substr(image.offset, image.size));
  CHECK(pictures == std::vector<std::string>{"GNU", "PAX", "USTAR", "BASE"});
}

TEST_CASE("webdataset lists every sample that it cannot take", "[data][webdataset]") {
  const std::string tar = member("1.jpg", "P") + member("2.txt", "alone") + member("3.jpg", "") + member("3.txt", "c") +
                          member("4.jpg", "P") + member("4.png", "P") + member("4.txt", "kept") + member("5.jpg", "P") +
                          member("5.json", "{}") + member("6.jpg", "P") + member("6.json", "{") + member("7.jpg", "P") +
                          member("7.json", R"({"caption": [1, " "]})") + member("8.jpg", "P") +
                          member("8.txt", std::string((1 << 20) + 1, 'x')) + block({.name = "9.jpg", .type = '2'}) +
                          member("9.txt", "link") + member(".hidden.jpg", "P") + member("a.jpg", "P") +
                          member("a.json", R"({"caption": []})") + member("b.jpg", "P") + member("b.txt", "\xFF") +
                          kEnd;
  const Reading reading = read_tar(tar);
  CHECK(reading.captions() == Captions{{"4.jpg", {"kept"}}});
  const std::string no_picture = "the sample has no picture (.jpg, .jpeg, .png or .webp)";
  const auto lines = reading.lines();
  REQUIRE(lines.size() == 14);
  CHECK(lines[0] == "a.tar: 1.jpg: the sample has no caption (.txt or .json)");
  CHECK(lines[1] == "a.tar: 2: " + no_picture);
  CHECK(lines[2] == "a.tar: 3.jpg: the picture is empty");
  CHECK(lines[3] == "a.tar: 3: " + no_picture);
  CHECK(lines[4] == "a.tar: 4.png: the sample already has 4.jpg");
  CHECK(lines[5] == "a.tar: 5.json: has no key 'caption'; set 'json_key'");
  CHECK_THAT(lines[6], ContainsSubstring("a.tar: 6.json: broken JSON at column 2"));
  CHECK(lines[7] == "a.tar: 7.json: 'caption' is neither text nor a list of texts");
  CHECK(lines[8] == "a.tar: 7.json: the caption is empty");
  CHECK(lines[9] == "a.tar: 8.txt: has 1048577 bytes, expected a caption of at most 1048576");
  CHECK(lines[10] == "a.tar: 9.jpg: is a link or a folder, expected a file");
  CHECK(lines[11] == "a.tar: 9: " + no_picture);
  CHECK(lines[12] == "a.tar: a.json: the list 'caption' is empty");
  CHECK(lines[13] == "a.tar: b.txt: the caption is not valid UTF-8; save the file as UTF-8");
  CHECK(read_tar(member("1.jpg", "P") + member("1.txt", "t") + kEnd, ", captions_from: json").lines() ==
        std::vector<std::string>{"a.tar: 1.jpg: the sample has no caption (json)"});
}

TEST_CASE("of a truncated tar everything before the cut is taken", "[data][webdataset]") {
  const std::string tar = member("1.jpg", "P1") + member("1.txt", "one") + member("2.jpg", std::string(3000, 'P')) +
                          member("2.txt", "two") + kEnd;
  const Captions both{{"1.jpg", {"one"}}, {"2.jpg", {"two"}}};
  const Captions first{{"1.jpg", {"one"}}};
  CHECK(read_tar(tar).captions() == both);
  CHECK(read_tar(tar.substr(0, tar.size() - 1024)).captions() == both);  // without the end marker
  CHECK(read_tar(tar.substr(0, tar.size() - 1024)).ledger.empty());
  for (std::size_t size = 0; size < tar.size(); size += 97) {
    const Reading reading = read_tar(tar.substr(0, size));
    const Captions found = reading.captions();
    INFO(size);
    CHECK((found == both || found == first || found.empty()));
    if (size >= 2048 + 512) CHECK(found.contains("1.jpg"));
    if (found.size() < 2) CHECK(reading.ledger.size() == (size == 2048 ? 0 : 1));
  }
  CHECK(read_tar(tar.substr(0, 2048 + 512 + 1000)).lines() ==
        std::vector<std::string>{"a.tar: the archive ends after 1000 of 3000 bytes of '2.jpg'"});
  CHECK(read_tar(tar.substr(0, 2000)).lines() ==
        std::vector<std::string>{"a.tar: the archive is cut off after 2000 bytes"});
  CHECK(read_tar(tar.substr(0, 2048 + 100)).lines() ==
        std::vector<std::string>{"a.tar: the archive ends in the middle of a header, after 2148 bytes"});
  CHECK(read_tar("").lines() == std::vector<std::string>{"a.tar: the archive is empty"});
  CHECK(read_tar("no tar at all").lines() == std::vector<std::string>{"a.tar: is no tar archive"});
  CHECK(read_tar(std::string(4096, 'x')).lines() == std::vector<std::string>{"a.tar: is no tar archive"});
}

TEST_CASE("a damaged tar header ends the shard with a reason", "[data][webdataset]") {
  const std::string good = member("1.jpg", "P1") + member("1.txt", "one");
  const auto ends_with = [&](const std::string& bytes, const std::string& reason) {
    const Reading reading = read_tar(good + bytes + member("2.jpg", "P") + member("2.txt", "two") + kEnd);
    CHECK(reading.captions() == Captions{{"1.jpg", {"one"}}});
    CHECK(reading.lines() == std::vector<std::string>{"a.tar: " + reason});
  };
  ends_with(std::string(512, 'x'), "the header at byte 2048 is damaged; what follows is lost");
  ends_with(block({.name = "s.jpg", .size_field = "zzz"}), "the size of 's.jpg' is damaged; what follows is lost");
  ends_with(block({.name = "s.jpg", .size_field = "\xFF" + std::string(11, '\xFF')}),
            "the size of 's.jpg' is damaged; what follows is lost");
  ends_with(block({.name = "s.jpg", .size_field = "\x80" + std::string(11, '\xFF')}),
            "the size of 's.jpg' is damaged; what follows is lost");
  ends_with(block({.name = "s.jpg", .type = 'S'}),
            "'s.jpg' is a sparse file, which is not supported; what follows is lost");
  for (const char* records : {"5 a=b\n", "99999999 path=x\n", "x path=x\n", "6 pathx\n", "1 a=\n"})
    ends_with(pax(records), "the pax header before byte 3072 is damaged; what follows is lost");
  ends_with(pax("10 size=x\n"), "the pax header before byte 3072 has no number as size");
  ends_with(special({.name = "long", .type = 'L'}, std::string((1 << 20) + 1, 'n')),
            "the header at byte 2048 has 1048577 bytes, expected a long name or pax records of at most 1048576");
}

TEST_CASE("a size beyond the archive is refused without allocating it", "[data][webdataset]") {
  const Reading reading = read_tar(block({.name = "1.jpg", .size_field = "77777777777"}) + kEnd);
  CHECK(reading.lines() ==
        std::vector<std::string>{"a.tar: the archive ends after 1024 of 8589934591 bytes of '1.jpg'"});
}

TEST_CASE("compressed shards are refused with the command that helps", "[data][webdataset]") {
  const std::pair<std::string, std::string> cases[] = {{"\x1F\x8B\x08", "gzip, but"},
                                                       {"BZh91AY", "bunzip2 "},
                                                       {std::string("\xFD"
                                                                    "7zXZ\0",
                                                                    6),
                                                        "unxz "},
                                                       {"\x28\xB5\x2F\xFD", "unzstd "},
                                                       {"\x04\x22\x4D\x18", "unlz4 "},
                                                       {"PK\x03\x04", "unzip "}};
  for (const auto& [bytes, command] : cases) {
    CHECK_THROWS_AS(read_tar(bytes + std::string(600, 'x')), DataError);
    CHECK_THROWS_WITH(read_tar(bytes + std::string(600, 'x')),
                      ContainsSubstring("a.tar: is compressed with") && ContainsSubstring(command));
  }
}

TEST_CASE("shards are named with braces and patterns", "[data][webdataset]") {
  const auto tar = [](const std::string& key) { return member(key + ".jpg", "P") + member(key + ".txt", key) + kEnd; };
  const auto files = files_with({{"s/00008.tar", tar("a")},
                                 {"s/00009.tar", tar("b")},
                                 {"s/00010.tar", tar("c")},
                                 {"t/x{1}.tar", tar("d")},
                                 {"t/y.tar", tar("e")},
                                 {"none/x", ""}});
  const auto names = [&](const std::string& pattern) {
    std::string text;
    for (const auto& image : files.read("webdataset", "{shards: \"$/" + pattern + "\", split: train}").images)
      text += image.image_id;
    return text;
  };
  CHECK(names("s/{00008..00010}.tar") == "abc");
  CHECK(names("s/{00010..00008}.tar") == "cba");
  CHECK(names("s/000{08,{10,09}}.tar") == "acb");
  CHECK(names("s/*.tar") == "abc");
  CHECK(names("s/0000[89].tar") == "ab");
  CHECK(names("{t,s}/?*.tar") == "deabc");
  CHECK(names("t/x{1}.tar") == "d");
  CHECK_THROWS_WITH(names("s/{00008..00011}.tar"), ContainsSubstring("s/00011.tar: does not exist; correct 'shards'"));
  CHECK_THROWS_WITH(names("none/*.tar"), ContainsSubstring("none/*.tar: no file matches"));
  CHECK_THROWS_WITH(names("{1..2000000}.tar"), ContainsSubstring("stands for more than 1000000 files"));
  CHECK_THROWS_WITH(names("{1..1001}{1..1001}.tar"), ContainsSubstring("stands for more than 1000000 files"));
  CHECK_THROWS_WITH(read_source("webdataset", "{shards: 'https://host/{0..9}.tar', split: train}"),
                    ContainsSubstring("shards are read from local files; download them first"));
  CHECK_THROWS_WITH(read_source("webdataset", "{shards: 'pipe:cat x', split: train}"),
                    ContainsSubstring("local files"));
  CHECK_THROWS_WITH(names("s"), ContainsSubstring("s: is a folder, expected a tar archive"));
  CHECK_THROWS_WITH(read_source("webdataset", "{captions_from: xml}"),
                    ContainsSubstring("needs 'shards'") && ContainsSubstring("captions_from"));
}

TEST_CASE("webdataset stops reading when it has enough", "[data][webdataset]") {
  const auto files = files_with(
      {{"a.tar", member("1.jpg", "P") + member("1.txt", "one") + kEnd}, {"b.tar", "\x1F\x8B\x08 compressed"}});
  CHECK(files.read("webdataset", "{shards: '$/{a,b}.tar', split: train, max_images: 1}").images.size() == 1);
}

}  // namespace capstan::testing
