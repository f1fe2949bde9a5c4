// Annotation files of every format, damaged; the pictures they name are not opened.
#include <fmt/format.h>

#include "capstan/config/load.h"
#include "capstan/core/files.h"
#include "capstan/data/source.h"
#include "fuzz/fuzz.h"

namespace capstan::fuzz {
namespace {

constexpr const char* kCoco = R"({"info": {"year": 2017}, "images": [
  {"id": 42, "file_name": "000000000042.jpg", "height": 480, "width": 640},
  {"id": 73, "file_name": "000000000073.jpg", "height": 500, "width": 375}],
 "annotations": [
  {"id": 1, "image_id": 42, "caption": "A dog on a \"bed\"."}, {"id": 2, "image_id": 73, "caption": "Caf\u00e9"},
  {"id": 3, "image_id": 42, "caption": "Another caption."}]})";
constexpr const char* kKarpathy = R"({"dataset": "coco", "images": [
  {"filepath": "val2014", "filename": "COCO_val2014_000000000042.jpg", "cocoid": 42, "imgid": 0, "split": "test",
   "sentids": [1, 2], "sentences": [{"raw": "A dog.", "tokens": ["a", "dog"], "imgid": 0, "sentid": 1}]},
  {"filename": "2.jpg", "imgid": 1, "split": "restval", "sentences": [{"raw": "Two dogs."}, {"raw": "Cats"}]}]})";
constexpr const char* kToken =
    "1000268201_693b08cb0e.jpg#0\tA child in a pink dress .\n1000268201_693b08cb0e.jpg#1\tA girl going into a hut .\n"
    "1001773457_577c3a7d70.jpg#0\tA black dog and a spotted dog .\n";
constexpr const char* kResults =
    "image_name| comment_number| comment\n1000092795.jpg| 0| Two young guys .\n1000092795.jpg| 1| Two men .\n"
    "2199200615.jpg| 4   A dog runs across the grass .\n";
constexpr const char* kKaggle =
    "image,caption\n1000268201_693b08cb0e.jpg,\"A child, in a \"\"pink\"\" dress .\"\n1001773457_577c3a7d70.jpg,A dog "
    ".\n";
constexpr const char* kList = "1000268201_693b08cb0e.jpg\n1001773457_577c3a7d70.jpg\n";
constexpr const char* kJsonl =
    "{\"image\": \"a.jpg\", \"caption\": [\"one dog\", \"two dogs\"], \"split\": \"train\"}\n"
    "{\"image\": \"b.jpg\", \"caption\": \"a cat \\u00e9\"}\n";
constexpr const char* kCsv = "image,caption,split\na.jpg,\"a dog\nin two lines\",train\nb.jpg,a cat,val\n";

// ustar with the long names of GNU and the records of pax in front.
std::string tar_member(const std::string& name, const std::string& body, char type = '0') {
  std::string header(512, '\0');
  const auto put_text = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put_text(0, name);
  put_text(100, "0000644");
  put_text(124, fmt::format("{:011o}", body.size()));
  put_text(136, "00000000000");
  header[156] = type;
  put_text(257, std::string("ustar\0", 6) + "00");
  put_text(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put_text(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  std::string padded = body;
  padded.resize((body.size() + 511) / 512 * 512);
  return header + padded;
}

std::string archive() {
  return tar_member("000001.jpg", "not opened") + tar_member("000001.txt", "a dog") +
         tar_member("pax", "26 path=folder/000002.jpg\n", 'x') + tar_member("short", "bytes of a picture") +
         tar_member("folder/000002.json", R"({"caption": ["a cat", "two cats"]})") +
         tar_member("././@LongLink", std::string("folder/") + std::string(120, 'n') + ".jpg", 'L') +
         tar_member("cut", "x") + std::string(1024, '\0');
}

void read_source(const std::string& name, const std::string& options) {
  config::Problems problems;
  const auto source = sources().find(name).make(config::parse_yaml(options, "options"), problems);
  problems.throw_if_any();
  std::vector<LedgerEntry> ledger;
  source->read([](CaptionedImage) {}, ledger);
}

}  // namespace

std::vector<Target> annotation_targets(const fs::path& folder) {
  const std::string file = (folder / "annotations").string(), images = folder.string();
  const std::string list = (folder / "list.txt").string(), tar = (folder / "shard.tar").string();
  put(list, kList);
  std::vector<Target> targets;
  const auto add = [&](const std::string& kind, const std::string& source, const std::string& seed,
                       const std::string& path, const std::string& options) {
    targets.push_back({kind, {seed}, [=](const std::string& bytes) {
                         put(path, bytes);
                         read_source(source, options);
                       }});
  };
  add("coco", "coco", kCoco, file, fmt::format("{{train_annotations: {}, train_images: {}}}", file, images));
  add("karpathy", "karpathy", kKarpathy, file, fmt::format("{{annotations: {}, images: {}}}", file, images));
  for (const auto& [kind, seed] : {std::pair("flickr30k token", kToken), std::pair("flickr30k results", kResults)})
    add(kind, "flickr30k", seed, file, fmt::format("{{captions: {}, images: {}, split: hash}}", file, images));
  for (const auto& [kind, seed] : {std::pair("flickr8k token", kToken), std::pair("flickr8k csv", kKaggle)})
    add(kind, "flickr8k", seed, file, fmt::format("{{captions: {}, images: {}, split: hash}}", file, images));
  const std::string captions = (folder / "captions.txt").string();
  put(captions, kToken);
  add("flickr8k list", "flickr8k", kList, file,
      fmt::format("{{captions: {}, images: {}, train_list: {}}}", captions, images, file));
  add("jsonl", "jsonl", kJsonl, file, fmt::format("{{file: {}, images: {}, split: hash}}", file, images));
  add("csv", "csv", kCsv, file, fmt::format("{{file: {}, images: {}}}", file, images));
  add("webdataset", "webdataset", archive(), tar, fmt::format("{{shards: {}, split: train}}", tar));
  return targets;
}

}  // namespace capstan::fuzz
