#include "parallel/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "capstan/core/strings.h"
#include "capstan/parallel/error.h"

namespace capstan {
namespace {

constexpr auto kCloseLimit = std::chrono::seconds(3);   // for a group whose peers may be dead
constexpr auto kReportLimit = std::chrono::seconds(2);  // for asking the store why another rank ended
constexpr std::size_t kLongestReason = 400;

// Writing to a peer that has just died would end this process without a word; Python programs ignore the signal as
// well.
void ignore_broken_pipes() {
  struct sigaction now {};
  if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

std::string reason_of(const std::exception& error) {
  const auto* from_c10 = dynamic_cast<const c10::Error*>(&error);
  std::string text = from_c10 != nullptr ? from_c10->what_without_backtrace() : error.what();
  text.resize(std::min(text.find('\n'), text.size()));
  // Gloo's own: "[/build/gloo/transport/tcp/pair.cc:553] Connection closed by peer [...]. This is typically caused by
  // ..."
  if (text.starts_with('[') && text.find(".cc:") < text.find("] ")) text.erase(0, text.find("] ") + 2);
  text.resize(std::min({text.find(". This is typically"), text.size(), kLongestReason}));
  text = std::string(trim(text));
  while (text.ends_with('.')) text.pop_back();
  return text;
}

bool is_timeout(std::string_view reason) {
  const std::string text = to_lower_ascii(reason);
  for (const char* word : {"timed out", "timeout"})
    if (text.find(word) != std::string::npos) return true;
  return false;
}

bool run_within(std::chrono::milliseconds limit, std::function<void()> work) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
  };
  const auto shared = std::make_shared<Shared>();
  std::thread([shared, work = std::move(work)]() mutable {
    try {
      work();
    } catch (const std::exception&) {  // the caller only asks whether it came to an end
    }
    work = nullptr;
    const std::lock_guard lock(shared->mutex);
    shared->done = true;
    shared->changed.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  return shared->changed.wait_for(lock, limit, [&] { return shared->done; });
}

ProcessGroups::ProcessGroups(const WorldEnvironment& environment_in, c10::Device device_in, double timeout_seconds)
    : environment(environment_in),
      device(device_in),
      timeout(std::max<std::int64_t>(1, static_cast<std::int64_t>(timeout_seconds * 1000))) {
  ignore_broken_pipes();
  const Clock::time_point start = Clock::now();
  try {
    store = meet(environment, timeout);
    group = make_group(environment, device, store, timeout);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail("the connection to all other ranks", start, reason_of(error));
  }
}

// Work that is still queued in a whole group comes to its end; in a broken one it may wait for a peer that is gone, so
// the threads behind it are given a moment and then left to the end of the process.
ProcessGroups::~ProcessGroups() {
  if (!group) return;
  if (!broken) {
    try {
      group->shutdown();
    } catch (const std::exception&) {  // a destructor has nobody to tell
    }
    return;
  }
  run_within(kCloseLimit, [held = std::move(group), kept = std::move(store)]() mutable {
    held->abort();
    held.reset();
    kept.reset();
  });
}

void ProcessGroups::require_whole(std::string_view what) const {
  if (!broken) return;
  throw ParallelError(fmt::format("rank {} of {} cannot take part in {}: the connection to the other ranks is broken",
                                  environment.rank, environment.size, what));
}

std::string ProcessGroups::others_report() const {
  if (!store) return {};
  const auto text = std::make_shared<std::string>();
  const bool asked = run_within(kReportLimit, [text, asking = store] {
    if (asking->check({kFailureKey})) *text = asking->get_to_str(kFailureKey);
  });
  return asked ? *text : std::string();
}

void ProcessGroups::fail(std::string_view what, Clock::time_point start, const std::string& reason) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const bool first = !broken.exchange(true);
  const std::string report = first ? others_report() : std::string();
  std::string advice;
  if (!report.empty()) {
    advice = "Another rank said: " + report;
  } else if (is_timeout(reason)) {
    advice = fmt::format(
        "A rank has ended, hangs, or works on something else for longer than {}. Look at the last lines of every rank; "
        "where that work is meant to take so long, raise parallel.ddp_timeout.",
        human_duration(std::chrono::duration<double>(timeout).count()));
  } else {
    advice =
        "A rank has ended or its host cannot be reached. Look for the first error in the lines of the other ranks, "
        "then start the run again: it goes on from its newest checkpoint.";
  }
  throw ParallelError(fmt::format("rank {} of {} waited {} for {} and failed: {}. {}", environment.rank,
                                  environment.size, human_duration(seconds), what, reason, advice));
}

void ProcessGroups::guarded(std::string_view what, const std::function<void()>& work) {
  require_whole(what);
  const Clock::time_point start = Clock::now();
  try {
    const at::NoGradGuard no_grad;
    work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(what, start, reason_of(error));
  }
}

}  // namespace capstan
