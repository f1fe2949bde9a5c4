// Every address, size and checksum of the data sets. Sizes are those that the servers announce.
#include "capstan/hub/datasets.h"

#include <algorithm>

namespace capstan::hub {
namespace {

#define COCO "http://images.cocodataset.org/"
#define KARPATHY "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
#define KARPATHY_SHA256 "sha256:4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817"
#define FLICKR8K "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/"

std::vector<Dataset> make_datasets() {
  return {
      {.name = "coco",
       .year = "2017",
       .summary = "COCO captions 2017: 118,287 pictures to train with, 5,000 to validate",
       .folder = "data/coco-2017",
       .note =
           "The captions are under CC BY 4.0; the pictures under Flickr's terms: https://cocodataset.org/#termsofuse",
       .files = {{"annotations", COCO "annotations/annotations_trainval2017.zip", 252'907'541,
                  "md5:f4bbac642086de4f52a3fdda2de5fa2c", ""},
                 {"train", COCO "zips/train2017.zip", 19'336'861'798, "md5:cced6f7f71b7629ddf16f17bbcfab6b2", ""},
                 {"validation", COCO "zips/val2017.zip", 815'585'330, "md5:442b8da7639aecaf257c1dceb8ba8c80", ""}}},
      {.name = "coco",
       .year = "2014",
       .summary = "COCO captions 2014: the pictures of Karpathy's split",
       .folder = "data/coco-2014",
       .note =
           "The captions are under CC BY 4.0; the pictures under Flickr's terms: https://cocodataset.org/#termsofuse",
       .files = {{"annotations", COCO "annotations/annotations_trainval2014.zip", 252'872'794,
                  "md5:0a379cfc70b0e71301e0f377548639bd", ""},
                 {"train", COCO "zips/train2014.zip", 13'510'573'713, "md5:0da8c0bd3d6becc4dcb32757491aca88", ""},
                 {"validation", COCO "zips/val2014.zip", 6'645'013'297, "md5:a3d79f5ed8d289b7a7554ce06a5782b3", ""}}},
      {.name = "karpathy",
       .year = "",
       .summary = "Karpathy's splits of COCO, Flickr8k and Flickr30k with their captions, no pictures",
       .folder = "data/karpathy",
       .note = "",
       .files = {{"annotations", KARPATHY, 36'745'453, KARPATHY_SHA256, ""}}},
      {.name = "flickr8k",
       .year = "",
       .summary = "Flickr8k: 8,091 pictures with five captions each",
       .folder = "data/flickr8k",
       .note =
           "For research and education only, says its authors' form (https://forms.illinois.edu/sec/1713398); their "
           "server is gone, and these are the copies at https://github.com/jbrownlee/Datasets",
       .files = {{"annotations", FLICKR8K "Flickr8k_text.zip", 0, "md5:bf6c1abcb8e4a833b7f922104de18627", ""},
                 {"train", FLICKR8K "Flickr8k_Dataset.zip", 0, "md5:f18a1e2920de5bd84dae7cf08ec78978", ""}}},
      {.name = "flickr30k",
       .year = "",
       .summary = "Flickr30k: captions and Karpathy's split; the pictures are given out on request",
       .folder = "data/flickr30k",
       .note = "The pictures of Flickr30k are given out by its authors: fill in the form at "
               "https://shannon.cs.illinois.edu/DenotationGraph/ and unpack flickr30k-images.tar.gz into this folder",
       .files = {{"annotations", KARPATHY, 36'745'453, KARPATHY_SHA256, "*dataset_flickr30k.json"}}},
  };
}

#undef COCO
#undef KARPATHY
#undef KARPATHY_SHA256
#undef FLICKR8K

}  // namespace

std::span<const Dataset> datasets() {
  static const std::vector<Dataset> kDatasets = make_datasets();
  return kDatasets;
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const auto& dataset : datasets())
    if (std::find(names.begin(), names.end(), dataset.name) == names.end()) names.push_back(dataset.name);
  return names;
}

std::vector<std::string> Dataset::splits() const {
  std::vector<std::string> names;
  for (const auto& file : files)
    if (std::find(names.begin(), names.end(), file.split) == names.end()) names.emplace_back(file.split);
  return names;
}

}  // namespace capstan::hub
