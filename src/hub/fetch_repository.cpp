// A repository's files into the Hugging Face cache, or into a folder as they are.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/hub/cache.h"
#include "capstan/hub/selection.h"
#include "hub/fetch_parts.h"
#include "hub/repository.h"

namespace capstan::hub {
namespace {

bool is_loopback(const std::string& origin) {
  return origin.starts_with("http://localhost:") || origin.starts_with("http://127.") ||
         origin.starts_with("http://[::1]:");
}

// What HF_HUB_OFFLINE allows: what is there already.
Fetched fetch_offline(const Cache& cache, const Repository& repository, const FetchOptions& options) {
  const auto commit = cache.read_ref(options.revision);
  std::error_code ignored;
  if (!commit || !fs::is_directory(cache.snapshot(*commit), ignored))
    throw DataError(fmt::format("{}: is not in the cache, and HF_HUB_OFFLINE forbids to fetch it; unset HF_HUB_OFFLINE",
                                repository.id));
  Fetched fetched{cache.snapshot(*commit)};
  for (const auto& entry : fs::recursive_directory_iterator(fetched.folder)) {
    if (!entry.is_regular_file()) continue;
    ++fetched.files;
    fetched.bytes += entry.file_size();
  }
  return fetched;
}

std::vector<RemoteFile> chosen_files(const Endpoint& endpoint, const Revision& revision, const Repository& repository,
                                     const FetchOptions& options) {
  std::vector<std::string> names;
  for (const auto& file : revision.files) names.push_back(file.name);
  const Selection selection =
      select_files(names, repository.kind == "dataset", options.include, options.exclude, endpoint.page());
  if (!selection.warning.empty()) log_warning(fmt::format("{}: {}", endpoint.page(), selection.warning));
  const std::set<std::string> wanted(selection.names.begin(), selection.names.end());
  std::vector<RemoteFile> files;
  for (const auto& file : revision.files) {
    if (!wanted.contains(file.name)) continue;
    files.push_back(file);
    endpoint.complete(files.back(), revision.commit);
  }
  // The largest first, so that the end is not one large file on one connection.
  std::stable_sort(files.begin(), files.end(),
                   [](const auto& a, const auto& b) { return a.size.value_or(0) > b.size.value_or(0); });
  return files;
}

Download make_download(const Endpoint& endpoint, const Revision& revision, const RemoteFile& file, fs::path target) {
  return {.name = file.name,
          .url = endpoint.file_url(file.name, revision.commit),
          .file = std::move(target),
          .size = file.size,
          .checksum = file.checksum,
          .page = endpoint.page()};
}

void check_blob_name(const RemoteFile& file, const Endpoint& endpoint) {
  if (name_problem(file.etag).empty() && file.etag.find('/') == std::string::npos) return;
  throw DataError(
      fmt::format("{}: the endpoint tells no ETag of {} that could name it in the cache (found '{}'); take "
                  "plain files with to=DIR",
                  endpoint.page(), file.name, printable(file.etag)));
}

bool is_there(const fs::path& file, const std::optional<std::uint64_t>& size) {
  std::error_code error;
  return fs::is_regular_file(file, error) && (!size || fs::file_size(file, error) == *size);
}

// Blobs that have to be fetched; those of other revisions, or fetched by other programs, are taken as they are.
std::vector<Download> missing_in_cache(const Cache& cache, const Endpoint& endpoint, const Revision& revision,
                                       const std::vector<RemoteFile>& files) {
  std::vector<Download> downloads;
  std::set<std::string> blobs;  // two files with the same bytes are one blob
  for (const auto& file : files) {
    check_blob_name(file, endpoint);
    if (cache.holds(revision.commit, file.name, file.size) || is_there(cache.blob(file.etag), file.size)) continue;
    if (blobs.insert(file.etag).second)
      downloads.push_back(make_download(endpoint, revision, file, cache.blob(file.etag)));
  }
  return downloads;
}

// Plain files: those that are there and equal stay, those that differ are somebody's.
std::vector<Download> missing_in_folder(const fs::path& folder, const Endpoint& endpoint, const Revision& revision,
                                        const std::vector<RemoteFile>& files, bool overwrite) {
  std::vector<Download> downloads;
  std::vector<std::string> different;
  for (const auto& file : files) {
    const fs::path target = folder / file.name;
    std::error_code ignored;
    const bool same =
        is_there(target, file.size) &&
        (file.checksum.known() ? digest_file(target, file.checksum.kind) == file.checksum.hex : file.size.has_value());
    if (same) continue;
    if (fs::exists(target, ignored)) different.push_back(file.name);
    downloads.push_back(make_download(endpoint, revision, file, target));
  }
  if (!different.empty() && !overwrite)
    throw DataError(
        fmt::format("{}: holds other versions of {}; choose another folder with to=DIR, or pass "
                    "overwrite=true to replace them",
                    folder.string(), join(different, ", ")));
  return downloads;
}

void fetch_all(const std::vector<Download>& downloads, const Environment& environment, const FetchOptions& options) {
  DownloadOptions how = download_options(options);
  how.token = environment.token;
  how.token_source = environment.token_source;
  how.endpoint = environment.endpoint;
  const auto start = std::chrono::steady_clock::now();
  download(downloads, how);
  std::uint64_t bytes = 0;
  for (const auto& item : downloads) bytes += item.size.value_or(0);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!downloads.empty()) log_info("fetched " + describe_speed(bytes, seconds.count()));
}

}  // namespace

Fetched fetch_repository(const Repository& repository, const Environment& environment, const FetchOptions& options) {
  const std::string problem = name_problem(options.revision);
  if (!problem.empty()) throw UsageError(fmt::format("revision='{}' {}", printable(options.revision), problem));
  const Cache cache(environment.cache, repository);
  if (environment.offline) return fetch_offline(cache, repository, options);
  const std::string origin = origin_of(environment.endpoint);
  if (!environment.token.empty() && origin.starts_with("http://") && !is_loopback(origin))
    log_warning(fmt::format("{} goes to {} without encryption", environment.token_source, environment.endpoint));

  const DownloadOptions how = download_options(options);
  const Endpoint endpoint({environment.token, environment.token_source, environment.endpoint, how.timeout},
                          {how.retries, how.first_pause}, repository);
  const Revision revision = endpoint.revision(options.revision);
  const std::vector<RemoteFile> files = chosen_files(endpoint, revision, repository, options);
  Fetched fetched{options.to.empty() ? cache.snapshot(revision.commit) : fs::path(options.to), files.size()};
  for (const auto& file : files) fetched.bytes += file.size.value_or(0);
  log_info(fmt::format("{} at {} ({}): {} of {} files, {}", repository.id, options.revision,
                       revision.commit.substr(0, 8), files.size(), revision.files.size(), human_bytes(fetched.bytes)));
  if (!options.to.empty()) {
    fetch_all(missing_in_folder(options.to, endpoint, revision, files, options.overwrite), environment, options);
    return fetched;
  }
  fetch_all(missing_in_cache(cache, endpoint, revision, files), environment, options);
  for (const auto& file : files)
    if (!cache.holds(revision.commit, file.name, file.size)) cache.link(revision.commit, file.name, file.etag);
  cache.write_ref(options.revision, revision.commit);  // last: a revision that is named is complete
  return fetched;
}

}  // namespace capstan::hub
