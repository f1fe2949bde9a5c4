// Models from a Hugging Face-compatible endpoint, and data sets from where they are published.
//
//   const std::filesystem::path folder = hub::fetch("google/vit-base-patch16-224-in21k", {}).folder;
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "capstan/core/fields.h"

namespace capstan::hub {

struct FetchOptions {
  std::string to;
  std::string revision = "main";
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::string token;
  bool overwrite = false;
  std::vector<std::string> split;
  std::string year = "2017";
  std::string mirror;
  bool verify = true;
  bool keep_archives = false;
  int connections = 4;
  int retries = 6;
  double retry_seconds = 1;
  double timeout = 60;

  template <class Visitor>
  void fields(Visitor& v) {
    v("to", to, "Folder for plain files; empty: the Hugging Face cache, or data/NAME for a data set.");
    v("revision", revision, "Branch, tag or commit of a repository.");
    v("include", include, "Patterns of files to take, as *.json,*.txt; empty: what Capstan reads.");
    v("exclude", exclude, "Patterns of files to leave out.");
    v("token", token, "Access token; others see it in the list of processes, so HF_TOKEN is better.");
    v("overwrite", overwrite, "Replace files under to= that differ.");
    v("split", split, "Parts of a data set: annotations,train,validation; empty: all.");
    v("year", year, "Of coco.", one_of({"2014", "2017"}));
    v("mirror", mirror, "Address that stands for the servers of a data set: their paths are asked for there.");
    v("verify", verify, "Hold data sets to their published sizes and checksums.");
    v("keep_archives", keep_archives, "Keep zip files after unpacking.");
    v("connections", connections, "Files at a time.", between(1, 64));
    v("retries", retries, "Tries in a row without getting further before giving up.", between(0, 1000));
    v("retry_seconds", retry_seconds, "Pause before the first of them; doubles each time.", between(0, 60));
    v("timeout", timeout, "Seconds without a byte until a connection counts as cut.", between(1, 3600));
  }
};

struct Fetched {
  std::filesystem::path folder;
  std::uint64_t files = 0, bytes = 0;  // of the result, however much of it was there before
};

// `what` is "OWNER/NAME", "datasets/OWNER/NAME", the page of one, or the name of a data set (hub/datasets.h).
// Environment variables are those of huggingface_hub (hub/environment.h); proxies are curl's.
// UsageError and ConfigError for wrong names and options, DataError when something cannot be had.
Fetched fetch(const std::string& what, const FetchOptions& options);

}  // namespace capstan::hub
