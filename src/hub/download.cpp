#include "capstan/hub/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "hub/transfer.h"

namespace capstan::hub {
namespace {

// libcurl's loop over several requests at a time.
class Multi {
 public:
  Multi() : handle_(curl_multi_init()) {
    CAPSTAN_ASSERT(handle_ != nullptr);
    curl_multi_setopt(handle_.get(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));  // a connection each
  }
  ~Multi() {
    for (const auto& [handle, transfer] : active_) curl_multi_remove_handle(handle_.get(), handle);
  }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  std::size_t size() const { return active_.size(); }
  void add(Transfer& transfer) {
    CAPSTAN_ASSERT(curl_multi_add_handle(handle_.get(), transfer.handle()) == CURLM_OK);
    active_[transfer.handle()] = &transfer;
  }
  // Works for a short while. A transfer whose request has ended, with how it ended, or null.
  std::pair<Transfer*, CURLcode> step() {
    int running = 0, left = 0;
    CAPSTAN_ASSERT(curl_multi_perform(handle_.get(), &running) == CURLM_OK);
    if (CURLMsg* const message = curl_multi_info_read(handle_.get(), &left); message != nullptr) {
      const CURLcode code = message->data.result;
      CURL* const handle = message->easy_handle;
      curl_multi_remove_handle(handle_.get(), handle);
      Transfer* const transfer = active_.at(handle);
      active_.erase(handle);
      return {transfer, code};
    }
    curl_multi_poll(handle_.get(), nullptr, 0, 100, nullptr);
    return {nullptr, CURLE_OK};
  }

 private:
  struct Free {
    void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
  };
  std::unique_ptr<CURLM, Free> handle_;
  std::map<CURL*, Transfer*> active_;
};

// What has to come yet, so that a full disk is found before hours of work.
std::uint64_t missing_bytes(std::span<const Download> downloads) {
  std::uint64_t missing = 0;
  for (const auto& item : downloads) {
    std::error_code error;
    const std::uint64_t there = fs::file_size(PartFile::part_of(item.file), error);
    const std::uint64_t had = error ? 0 : there;
    if (item.size && *item.size > had) missing += *item.size - had;
  }
  return missing;
}

// Takes the first that may begin now. Null when none may yet.
Transfer* take_ready(std::deque<Transfer*>& waiting) {
  const auto now = Transfer::Clock::now();
  const auto found = std::find_if(waiting.begin(), waiting.end(), [&](auto* t) { return t->ready() <= now; });
  if (found == waiting.end()) return nullptr;
  Transfer* const transfer = *found;
  waiting.erase(found);
  return transfer;
}

}  // namespace

void download(std::span<const Download> downloads, const DownloadOptions& options) {
  if (downloads.empty()) return;
  const std::uint64_t missing = missing_bytes(downloads);
  require_space(downloads.front().file.parent_path(), missing);
  const Access access{options.token, options.token_source, options.endpoint, options.timeout};
  const Retry retry{options.retries, options.first_pause};
  Meter meter(missing);
  std::vector<std::unique_ptr<Transfer>> transfers;
  std::deque<Transfer*> waiting;
  for (const auto& item : downloads) {
    transfers.push_back(std::make_unique<Transfer>(item, access, retry, meter));
    waiting.push_back(transfers.back().get());
  }
  Multi multi;  // dies first, before the handles it knows
  const auto go = [&](Transfer& transfer, Transfer::Next next) {
    if (next == Transfer::Next::kGoOn) multi.add(transfer);
    if (next == Transfer::Next::kWait) waiting.push_back(&transfer);
  };
  while (!waiting.empty() || multi.size() > 0) {
    throw_if_stopped();
    while (multi.size() < static_cast<std::size_t>(options.connections)) {
      Transfer* const transfer = take_ready(waiting);
      if (transfer == nullptr) break;
      go(*transfer, transfer->begin());
    }
    const auto [ended, code] = multi.step();
    if (ended != nullptr) go(*ended, ended->end(code));
  }
}

}  // namespace capstan::hub
