// The shards that a call of prepare still has to write. Workers decode, resize and tokenise; one thread takes their
// results in order, so the files do not depend on the number of workers; another finishes the last shard (sync,
// checksum) while the next one fills.
#pragma once
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capstan/data/prepare.h"
#include "data/journal.h"
#include "data/leaks.h"
#include "data/manifest.h"
#include "data/ordered.h"
#include "data/picture_task.h"
#include "data/shard.h"

namespace capstan {

class Progress;

// A shard to be: the pictures [first, first + count) of a split.
struct ShardTask {
  std::size_t split = 0;
  std::int64_t number = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

class ShardRun {
 public:
  // `fingerprint`: of the tokenizer's files. The journal says which shards are finished.
  ShardRun(const Corpus& corpus, const Tokenizer& tokenizer, std::string fingerprint, const PrepareConfig& config,
           std::filesystem::path output, Journal& journal);

  std::int64_t images_before() const { return images_before_; }
  std::int64_t images_left() const { return images_left_; }

  // Writes every missing shard and tells the journal of each; `errors` grows in the order of writing.
  void run(std::vector<LedgerEntry>& errors);
  double seconds() const { return seconds_; }
  // After run(): what each split consists of, and what is worth a look.
  void collect(Manifest& manifest, std::vector<LedgerEntry>& notes) const;

 private:
  PreparedPicture prepare_picture(std::int64_t index) const;
  void write_shards(std::vector<LedgerEntry>& errors);
  void write_shard(std::size_t index, Ordered<PreparedPicture>& pictures, Progress& progress,
                   std::vector<LedgerEntry>& errors);
  [[noreturn]] void stop();
  void take(const ShardTask& task, PreparedPicture picture, ShardWriter& shard, ShardOutcome& outcome,
            std::vector<LedgerEntry>& errors);
  std::optional<std::string> find_leak(const ShardTask& task, const PreparedPicture& picture, const std::string& file,
                                       ShardOutcome& outcome);
  void remember_pictures(const ShardTask& task, const ShardRecord& record);
  ShardOutcome finish_shard(const std::string& name, ShardOutcome outcome, ShardWriter& shard) const;
  void finish_pending();

  const Corpus& corpus_;
  const PictureTask picture_task_;
  const std::string fingerprint_;
  const PrepareConfig& config_;
  const std::filesystem::path output_;
  Journal& journal_;
  const std::vector<ShardTask> tasks_;                 // in the order of writing
  std::vector<std::optional<ShardOutcome>> outcomes_;  // of each task, once it is finished
  std::vector<ShardTask> missing_;
  std::vector<std::int64_t> ends_;  // of the missing shards, in the pictures that are still to be done
  std::int64_t images_before_ = 0, images_left_ = 0;
  SeenPictures seen_;
  double seconds_ = 0;
  std::size_t pending_task_ = 0;
  std::future<ShardOutcome> pending_;
};

}  // namespace capstan
