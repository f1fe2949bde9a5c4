// COCO captions (2014 and 2017): one JSON file of images and annotations beside one folder of pictures.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "capstan/data/source.h"

namespace capstan {

// The images of `annotations_json` in the file's order, each with its captions in the file's order, as `split`.
// Captions without a picture, pictures without a caption, empty or non-text captions and file names that leave
// `image_folder` go to `ledger`. DataError when the file is not such a JSON or the folder is missing.
// Format: https://cocodataset.org/#format-data ("Image Captioning").
std::vector<CaptionedImage> read_coco(const std::filesystem::path& annotations_json,
                                      const std::filesystem::path& image_folder, const std::string& split,
                                      std::vector<LedgerEntry>& ledger);

}  // namespace capstan
