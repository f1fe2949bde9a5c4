// The folder that a corpus's pictures lie in, and names of pictures that must stay inside it.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace capstan {

// Names are judged as text: links in the folder are its owner's and are followed.
class ImageRoot {
 public:
  // DataError when `folder` does not exist; `named_by` names the pictures, `option` is where the folder was set.
  ImageRoot(std::filesystem::path folder, std::string_view named_by, std::string_view option);

  struct Found {
    std::filesystem::path file;
    const char* problem = nullptr;  // why the name cannot be taken
  };
  // A name with folders is relative to the root; an absolute one must lie under it.
  Found find(const std::string& name) const;

 private:
  bool holds(const std::string& absolute) const;

  std::filesystem::path folder_;
  std::string absolute_, canonical_;  // of the folder, ending in '/'
};

}  // namespace capstan
