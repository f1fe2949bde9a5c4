// The two halves of fetch().
#pragma once
#include "capstan/hub/datasets.h"
#include "capstan/hub/download.h"
#include "capstan/hub/environment.h"
#include "capstan/hub/fetch.h"
#include "capstan/hub/names.h"

namespace capstan::hub {

Fetched fetch_repository(const Repository& repository, const Environment& environment, const FetchOptions& options);
Fetched fetch_dataset(const Dataset& dataset, const FetchOptions& options);

DownloadOptions download_options(const FetchOptions& options);

// "346.3 MB in 12.0 s (28.9 MB/s)", or "" when nothing was left to fetch.
std::string describe_speed(std::uint64_t bytes, double seconds);

}  // namespace capstan::hub
