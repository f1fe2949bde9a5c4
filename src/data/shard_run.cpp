// Held-out splits are written before the training split: a picture that is in both is dropped from training.
#include "data/shard_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/progress.h"
#include "capstan/core/signals.h"
#include "data/cache_folder.h"

namespace capstan {
namespace {

constexpr std::int64_t kAheadPerWorker = 8;  // pictures decoded before they are written
constexpr const char* kTrainSplit = "train";

std::vector<std::size_t> writing_order(const std::vector<std::string>& splits) {
  std::vector<std::size_t> order(splits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return splits[i] != kTrainSplit; });
  return order;
}

std::vector<ShardTask> plan_shards(const Corpus& corpus, std::int64_t images_per_shard) {
  std::vector<ShardTask> tasks;
  for (const std::size_t split : writing_order(corpus.splits())) {
    const std::int64_t images = corpus.num_images(split);
    for (std::int64_t first = 0, number = 0; first < images; first += images_per_shard, ++number)
      tasks.push_back({split, number, first, std::min(images_per_shard, images - first)});
  }
  return tasks;
}

}  // namespace

ShardRun::ShardRun(const Corpus& corpus, const Tokenizer& tokenizer, std::string fingerprint,
                   const PrepareConfig& config, std::filesystem::path output, Journal& journal)
    : corpus_(corpus),
      picture_task_(config, tokenizer),
      fingerprint_(std::move(fingerprint)),
      config_(config),
      output_(std::move(output)),
      journal_(journal),
      tasks_(plan_shards(corpus, config.images_per_shard)) {
  for (const ShardTask& task : tasks_) {
    const ShardOutcome* before = journal_.find(corpus_.splits()[task.split], task.number);
    const bool done = before != nullptr;
    outcomes_.push_back(done ? std::optional(*before) : std::nullopt);
    (done ? images_before_ : images_left_) += task.count;
    if (done) continue;
    missing_.push_back(task);
    ends_.push_back(images_left_);
  }
}

void ShardRun::run(std::vector<LedgerEntry>& errors) {
  try {
    write_shards(errors);
  } catch (...) {
    try {
      finish_pending();  // a whole shard is not given up for the failure of the next
    } catch (const std::exception& error) {
      log_warning(error.what());
    }
    throw;
  }
}

void ShardRun::write_shards(std::vector<LedgerEntry>& errors) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int workers = config_.num_workers > 0 ? config_.num_workers : cores;
  Progress progress("prepare", images_before_ + images_left_, "images", images_before_);
  Ordered<PreparedPicture> pictures(workers, workers * kAheadPerWorker, images_left_,
                                    [this](std::int64_t index) { return prepare_picture(index); });
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (const auto& outcome = outcomes_[i]) {
      if (outcome->shard) remember_pictures(tasks_[i], *outcome->shard);
      errors.insert(errors.end(), outcome->errors.begin(), outcome->errors.end());
      check_error_count(errors, config_.max_errors);
    } else {
      write_shard(i, pictures, progress, errors);
    }
  }
  finish_pending();
  seconds_ = progress.seconds();
}

void ShardRun::collect(Manifest& manifest, std::vector<LedgerEntry>& notes) const {
  for (const std::string& split : corpus_.splits()) {
    std::vector<ShardRecord> shards;
    for (const auto& outcome : outcomes_)
      if (outcome->split == split && outcome->shard) shards.push_back(*outcome->shard);
    if (shards.empty())
      log_warning(fmt::format("no picture of the split '{}' could be taken", split));
    else
      manifest.splits.emplace_back(split, std::move(shards));
  }
  for (const auto& outcome : outcomes_) notes.insert(notes.end(), outcome->notes.begin(), outcome->notes.end());
}

// Picture `index` of those that are still to be done. Runs in the workers.
PreparedPicture ShardRun::prepare_picture(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
  const ShardTask& task = missing_[at];
  return picture_task_(corpus_.read(task.split, task.first + index - (ends_[at] - task.count)));
}

void ShardRun::write_shard(std::size_t index, Ordered<PreparedPicture>& pictures, Progress& progress,
                           std::vector<LedgerEntry>& errors) {
  const ShardTask& task = tasks_[index];
  const std::string& split = corpus_.splits()[task.split];
  ShardOutcome outcome{.split = split, .number = task.number, .shard = {}, .errors = {}, .notes = {}};
  const std::string name = shard_name(split, task.number);
  const ShardHeader header{
      .split = split, .store = config_.store, .tokenizer = fingerprint_, .image_size = config_.image.size};
  auto shard = std::make_unique<ShardWriter>(output_ / name, header, task.count);
  for (std::int64_t i = 0; i < task.count; ++i) {
    if (stop_requested()) stop();
    take(task, pictures.next(), *shard, outcome, errors);
    progress.advance(1);
  }
  finish_pending();
  pending_task_ = index;
  pending_ = std::async(std::launch::async, [this, name, outcome = std::move(outcome), shard = std::move(shard)] {
    return finish_shard(name, outcome, *shard);
  });
}

void ShardRun::stop() {
  finish_pending();
  const auto finished = std::count_if(outcomes_.begin(), outcomes_.end(), [](const auto& o) { return o.has_value(); });
  if (finished == 0)
    throw Error(fmt::format("prepare was stopped before its first shard was finished; nothing was kept in {}",
                            output_.string()));
  throw Error(
      fmt::format("prepare was stopped; {} of {} shards are finished and kept in {}, the same command goes on "
                  "from there",
                  finished, tasks_.size(), output_.string()));
}

void ShardRun::take(const ShardTask& task, PreparedPicture picture, ShardWriter& shard, ShardOutcome& outcome,
                    std::vector<LedgerEntry>& errors) {
  const std::string file = file_text(picture.image);
  if (!picture.error) picture.error = find_leak(task, picture, file, outcome);
  if (picture.error) {
    outcome.errors.push_back({file, *picture.error});
    errors.push_back(outcome.errors.back());
    return check_error_count(errors, config_.max_errors);
  }
  const std::string name = picture.image.corpus_name();
  shard.add({.image_id = picture.image.image_id,
             .image_file = name,
             .source = picture.source,
             .content_hash = picture.content_hash,
             .payload = picture.payload,
             .captions = picture.image.captions,
             .token_ids = picture.token_ids});
}

// Why the picture must not be in this split; a second time in one split is only noted.
std::optional<std::string> ShardRun::find_leak(const ShardTask& task, const PreparedPicture& picture,
                                               const std::string& file, ShardOutcome& outcome) {
  const auto seen = seen_.find_or_add(picture.content_hash, static_cast<std::uint32_t>(task.split), file);
  if (!seen) return std::nullopt;
  const std::string& split = corpus_.splits()[task.split];
  if (seen->split == task.split) {
    outcome.notes.push_back({file, fmt::format("the same picture as {}", seen->file)});
    return std::nullopt;
  }
  const std::string text =
      fmt::format("the same picture as {} of the split '{}'", seen->file, corpus_.splits()[seen->split]);
  if (config_.on_leak == "drop") return text;
  throw DataError(
      fmt::format("{} of the split '{}' is {}: scores on held-out pictures would be too good; correct the "
                  "splits, or set on_leak: drop to leave it out of '{}'",
                  file, split, text, split));
}

// A shard of an earlier call: its pictures still count when leaks are looked for.
void ShardRun::remember_pictures(const ShardTask& task, const ShardRecord& record) {
  const Shard shard(output_ / record.file, record.bytes);
  for (std::int64_t i = 0; i < shard.num_images(); ++i) {
    ContentHash hash;
    std::memcpy(hash.data(), shard.content_hash(i).data(), hash.size());
    seen_.find_or_add(hash, static_cast<std::uint32_t>(task.split), shard.image_file(i));
  }
}

ShardOutcome ShardRun::finish_shard(const std::string& name, ShardOutcome outcome, ShardWriter& shard) const {
  if (shard.num_images() == 0) return outcome;
  shard.finish();
  const fs::path path = output_ / name;
  outcome.shard = ShardRecord{.file = name,
                              .images = shard.num_images(),
                              .captions = shard.num_captions(),
                              .tokens = shard.num_tokens(),
                              .bytes = fs::file_size(path),
                              .checksum = checksum_file(path)};
  return outcome;
}

void ShardRun::finish_pending() {
  if (!pending_.valid()) return;
  auto& outcome = outcomes_[pending_task_].emplace(pending_.get());
  journal_.add(outcome);
}

}  // namespace capstan
