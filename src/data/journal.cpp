#include "data/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "data/file_reader.h"

namespace capstan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kFormat = "capstan prepare journal 1";

ordered_json entries_to_json(const std::vector<LedgerEntry>& entries) {
  ordered_json list = ordered_json::array();
  for (const LedgerEntry& entry : entries) list.push_back({entry.file, entry.reason});
  return list;
}

std::vector<LedgerEntry> entries_from_json(const json& list) {
  std::vector<LedgerEntry> entries;
  for (const json& entry : list) entries.push_back({entry.at(0).get<std::string>(), entry.at(1).get<std::string>()});
  return entries;
}

ordered_json to_json(const ShardOutcome& outcome) {
  ordered_json line{{"split", outcome.split}, {"number", outcome.number}, {"shard", nullptr}};
  if (outcome.shard) line["shard"] = shard_to_json(*outcome.shard);
  line["errors"] = entries_to_json(outcome.errors);
  line["notes"] = entries_to_json(outcome.notes);
  return line;
}

ShardOutcome from_json(const json& line) {
  ShardOutcome outcome;
  outcome.split = line.at("split").get<std::string>();
  outcome.number = line.at("number").get<std::int64_t>();
  if (!line.at("shard").is_null()) outcome.shard = shard_from_json(line.at("shard"));
  outcome.errors = entries_from_json(line.at("errors"));
  outcome.notes = entries_from_json(line.at("notes"));
  return outcome;
}

}  // namespace

Journal::Journal(std::filesystem::path directory) : directory_(std::move(directory)), path_(directory_ / kJournalName) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) throw DataError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(file_);
    throw DataError(fmt::format("{}: another prepare is writing this cache; wait for it or choose another output",
                                directory_.string()));
  }
  try {
    read();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

Journal::~Journal() { ::close(file_); }

// Lines up to the first that is not whole; the file ends there from now on.
void Journal::read() {
  const std::string text = read_file(path_);
  std::size_t good = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    try {
      const json line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                    text.begin() + static_cast<std::ptrdiff_t>(end));
      if (begin == 0) {
        if (line.at("format") != kFormat) break;
        plan_ = line.at("plan").get<std::string>();
      } else {
        ShardOutcome outcome = from_json(line);
        outcomes_[{outcome.split, outcome.number}] = std::move(outcome);
      }
    } catch (const json::exception&) {
      break;
    } catch (const DataError&) {
      break;
    }
    good = begin = end + 1;
  }
  if (good < text.size() && ::ftruncate(file_, static_cast<off_t>(good)) != 0)
    throw DataError(fmt::format("{}: cannot be shortened: {}", path_.string(), std::strerror(errno)));
}

const ShardOutcome* Journal::find(const std::string& split, std::int64_t number) const {
  const auto found = outcomes_.find({split, number});
  if (found == outcomes_.end()) return nullptr;
  const auto& shard = found->second.shard;
  std::error_code error;
  if (shard && (std::filesystem::file_size(directory_ / shard->file, error) != shard->bytes || error)) return nullptr;
  return &found->second;
}

bool Journal::has_shards() const {
  return std::any_of(outcomes_.begin(), outcomes_.end(),
                     [](const auto& entry) { return entry.second.shard.has_value(); });
}

void Journal::begin(const std::string& plan) {
  if (::ftruncate(file_, 0) != 0)
    throw DataError(fmt::format("{}: cannot be emptied: {}", path_.string(), std::strerror(errno)));
  outcomes_.clear();
  plan_ = plan;
  write(ordered_json{{"format", kFormat}, {"plan", plan}}.dump());
}

void Journal::add(const ShardOutcome& outcome) {
  write(to_json(outcome).dump(-1, ' ', false, json::error_handler_t::replace));
  outcomes_[{outcome.split, outcome.number}] = outcome;
}

void Journal::write(const std::string& line) {
  ::lseek(file_, 0, SEEK_END);
  write_all(file_, line + '\n', path_);
  if (::fsync(file_) != 0)
    throw DataError(fmt::format("{}: cannot sync to disk: {}", path_.string(), std::strerror(errno)));
}

void Journal::remove() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
  outcomes_.clear();
  plan_.clear();
}

}  // namespace capstan
