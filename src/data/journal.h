// What an unfinished cache already consists of: one line per finished shard, so that prepare can go on after any stop.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capstan/data/source.h"
#include "data/manifest.h"

namespace capstan {

inline constexpr const char* kJournalName = "prepare.journal";

struct ShardOutcome {
  std::string split;
  std::int64_t number = 0;
  std::optional<ShardRecord> shard;  // nothing when no picture of it could be taken
  std::vector<LedgerEntry> errors;
  std::vector<LedgerEntry> notes;
};

// Holds a lock as long as it lives, so that no two processes write one cache.
class Journal {
 public:
  // Opens or creates the file in `directory`. A last line that was cut short is dropped. DataError when another
  // process holds it or it cannot be written.
  explicit Journal(std::filesystem::path directory);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What the shards were made for; empty when there is no unfinished work.
  const std::string& plan() const { return plan_; }
  // The shard's line, when the shard it names is still there with its size.
  const ShardOutcome* find(const std::string& split, std::int64_t number) const;
  bool has_shards() const;  // or only ranges of which nothing could be taken

  void begin(const std::string& plan);    // forgets everything
  void add(const ShardOutcome& outcome);  // on disk when it returns
  void remove();                          // the cache is finished, or given up

 private:
  void write(const std::string& line);
  void read();
  std::filesystem::path directory_, path_;
  int file_ = -1;
  std::string plan_;
  std::map<std::pair<std::string, std::int64_t>, ShardOutcome> outcomes_;
};

}  // namespace capstan
