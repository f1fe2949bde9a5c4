// The user's command that hears of a run's start, best, failure and end.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace capstan {

// Runs `command` by /bin/sh in the background with CAPSTAN_EVENT, CAPSTAN_RUN, CAPSTAN_STEP and CAPSTAN_MESSAGE in its
// environment; its output goes where this program's errors go. Never throws: a command that cannot be started, or ends
// with an error, is a warning. With an empty command nothing happens.
class EventHook {
 public:
  EventHook(std::string command, std::filesystem::path run) : command_(std::move(command)), run_(std::move(run)) {}
  ~EventHook();  // gives commands that still run ten seconds
  void operator()(std::string_view event, std::int64_t step, std::string_view message);

 private:
  void collect();
  std::string command_;
  std::filesystem::path run_;
  int child_ = 0;
};

}  // namespace capstan
