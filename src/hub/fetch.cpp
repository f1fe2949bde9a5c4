#include "capstan/hub/fetch.h"

#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "hub/fetch_parts.h"

namespace capstan::hub {
namespace {

const Dataset* find_dataset(const std::string& name, const std::string& year) {
  for (const auto& dataset : datasets())
    if (dataset.name == name && (dataset.year.empty() || dataset.year == year)) return &dataset;
  return nullptr;
}

}  // namespace

DownloadOptions download_options(const FetchOptions& options) {
  DownloadOptions result;
  result.connections = options.connections;
  result.retries = options.retries;
  result.first_pause = options.retry_seconds;
  result.timeout = options.timeout;
  return result;
}

std::string describe_speed(std::uint64_t bytes, double seconds) {
  return fmt::format("{} in {} ({}/s)", human_bytes(bytes), human_duration(seconds),
                     human_bytes(static_cast<std::uint64_t>(static_cast<double>(bytes) / std::max(seconds, 1e-3))));
}

Fetched fetch(const std::string& what, const FetchOptions& options) {
  if (const Dataset* const dataset = find_dataset(what, options.year)) return fetch_dataset(*dataset, options);
  if (!options.split.empty() || !options.mirror.empty())
    throw UsageError(fmt::format("split= and mirror= are for data sets ({}), and '{}' is none.{}",
                                 join(dataset_names(), ", "), printable(what), did_you_mean(what, dataset_names())));
  const Environment environment = read_environment(options.token);
  const Repository repository = parse_repository(what, environment.endpoint);
  try {
    return fetch_repository(repository, environment, options);
  } catch (const DataError& error) {
    // One mistyped word may have been meant as either.
    const bool one_word = what.find('/') == std::string::npos;
    const std::string near = one_word ? nearest(what, dataset_names()) : "";
    if (near.empty()) throw;
    throw DataError(fmt::format("{} The data set is called '{}'.", error.what(), near));
  }
}

}  // namespace capstan::hub
