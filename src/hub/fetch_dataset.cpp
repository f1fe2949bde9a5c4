// A data set's archives, fetched and unpacked one after the other, each remembered when it is done.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "hub/archive.h"
#include "hub/fetch_parts.h"
#include "hub/part_file.h"
#include "hub/request.h"

namespace capstan::hub {
namespace {

std::string file_name(const DatasetFile& file) { return fs::path(file.url).filename().string(); }

// "http://images.cocodataset.org/zips/x.zip" at "http://localhost:8000" is "http://localhost:8000/zips/x.zip".
std::string address(const DatasetFile& file, std::string mirror) {
  const std::string url = file.url;
  if (mirror.empty()) return url;
  if (origin_of(mirror).empty())
    throw UsageError(fmt::format("mirror='{}' is no address; expected http://... or https://...", printable(mirror)));
  while (mirror.ends_with('/')) mirror.pop_back();
  return mirror + url.substr(url.find('/', url.find("://") + 3));
}

Checksum checksum_of(const DatasetFile& file) {
  const std::string text = file.checksum;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {};
  return {text.starts_with("md5:") ? DigestKind::kMd5 : DigestKind::kSha256, text.substr(colon + 1)};
}

// Beside what was unpacked, so that the archive is not needed to know that it was.
fs::path done_file(const fs::path& folder, const DatasetFile& file) {
  return folder / fmt::format(".{}.done.json", file_name(file));
}

bool is_done(const fs::path& folder, const DatasetFile& file) {
  std::error_code ignored;
  return fs::is_regular_file(done_file(folder, file), ignored);
}

std::vector<DatasetFile> chosen_files(const Dataset& dataset, const FetchOptions& options) {
  const std::vector<std::string> known = dataset.splits();
  for (const auto& split : options.split)
    if (std::find(known.begin(), known.end(), split) == known.end())
      throw UsageError(fmt::format("split={}: {} has {}.{}", printable(split), dataset.name, join(known, ", "),
                                   did_you_mean(split, known)));
  std::vector<DatasetFile> files;
  for (const auto& file : dataset.files)
    if (options.split.empty() ||
        std::find(options.split.begin(), options.split.end(), file.split) != options.split.end())
      files.push_back(file);
  return files;
}

Download make_download(const DatasetFile& file, const fs::path& folder, const FetchOptions& options) {
  Download what{.name = file_name(file), .url = address(file, options.mirror), .file = folder / file_name(file)};
  if (!options.verify) return what;
  if (file.bytes > 0) what.size = file.bytes;
  what.checksum = checksum_of(file);
  return what;
}

// Archives of pictures hold them as they are, so unpacked they need as much again.
void check_space(const std::vector<DatasetFile>& files, const fs::path& folder) {
  std::uint64_t needed = 0;
  for (const auto& file : files) {
    std::error_code error;
    const std::uint64_t part = fs::file_size(PartFile::part_of(folder / file_name(file)), error);
    if (!is_done(folder, file)) needed += 2 * file.bytes - std::min(error ? 0 : part, file.bytes);
  }
  require_space(folder, needed);
}

// One that lies there: of an earlier run, or brought by hand.
void check_archive(const Download& what) {
  const std::uint64_t size = fs::file_size(what.file);
  const std::string found = what.checksum.known() ? digest_file(what.file, what.checksum.kind) : "";
  if ((!what.size || size == *what.size) && found == what.checksum.hex) return;
  throw DataError(fmt::format("{}: {} bytes with {} {}, expected {} with {}; remove it, or keep it with verify=false",
                              what.file.string(), size, name_of(what.checksum.kind), found, what.size.value_or(size),
                              what.checksum.hex));
}

void fetch_archive(const DatasetFile& file, const fs::path& folder, const FetchOptions& options) {
  const Download what = make_download(file, folder, options);
  std::error_code ignored;
  if (fs::is_regular_file(what.file, ignored)) {
    check_archive(what);
  } else {
    const auto start = std::chrono::steady_clock::now();
    download({&what, 1}, download_options(options));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    log_info(fmt::format("{}: {}", what.name, describe_speed(fs::file_size(what.file), seconds.count())));
  }
  const Unpacked unpacked = unpack(what.file, folder, file.only);
  log_info(fmt::format("{}: {} files, {}", what.name, unpacked.files, human_bytes(unpacked.bytes)));
  write_json(done_file(folder, file), {{"url", what.url}, {"files", unpacked.files}, {"bytes", unpacked.bytes}});
  if (!options.keep_archives) fs::remove(what.file, ignored);
}

}  // namespace

Fetched fetch_dataset(const Dataset& dataset, const FetchOptions& options) {
  const fs::path folder = options.to.empty() ? fs::path(dataset.folder) : fs::path(options.to);
  const std::vector<DatasetFile> files = chosen_files(dataset, options);
  if (!options.include.empty() || !options.exclude.empty() || options.revision != "main")
    throw UsageError(fmt::format("include=, exclude= and revision= are for repositories; of {} choose with split={}",
                                 dataset.name, join(dataset.splits(), ",")));
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += is_done(folder, file) ? 0 : file.bytes;
  log_info(fmt::format("{}{}: {} archives to {}{}", dataset.name, dataset.year.empty() ? "" : " " + dataset.year,
                       files.size(), folder.string(),
                       bytes > 0 ? ", " + human_bytes(bytes) + " to fetch" : std::string()));
  if (!dataset.note.empty()) log_info(dataset.note);
  if (options.verify) check_space(files, folder);
  Fetched fetched{folder};
  for (const auto& file : files) {
    if (!is_done(folder, file)) fetch_archive(file, folder, options);
    const auto done = read_json(done_file(folder, file));
    fetched.files += done.value("files", std::uint64_t{0});
    fetched.bytes += done.value("bytes", std::uint64_t{0});
  }
  return fetched;
}

}  // namespace capstan::hub
