// Settings and tokenizer of a captioner as files.
#include "export/folder.h"

#include <algorithm>

#include "capstan/core/files.h"
#include "capstan/models/pretrained.h"

namespace capstan {

ExportedFile exported_file(const fs::path& output, const fs::path& relative) {
  return {relative, static_cast<std::uint64_t>(fs::file_size(output / relative))};
}

std::vector<ExportedFile> write_settings(Captioner& captioner, const fs::path& output) {
  // Written elsewhere first: a tokenizer's files are those that it writes, whatever their names.
  const TempDir settings;
  save_config(captioner.model().config(), "float32", settings.path());
  save_generation_config(captioner.generation(), settings.path());
  captioner.processor().save_pretrained(settings.path());
  captioner.tokenizer().save(settings.path());

  std::vector<ExportedFile> files;
  for (const auto& entry : fs::directory_iterator(settings.path())) {
    const fs::path name = entry.path().filename();
    fs::copy_file(entry.path(), output / name, fs::copy_options::overwrite_existing);
    files.push_back(exported_file(output, name));
  }
  std::ranges::sort(files, {}, &ExportedFile::path);
  return files;
}

}  // namespace capstan
