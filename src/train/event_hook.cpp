#include "capstan/train/event_hook.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "capstan/core/log.h"

namespace capstan {

EventHook::~EventHook() { collect(); }

void EventHook::operator()(std::string_view event, std::int64_t step, std::string_view message) {
  if (command_.empty()) return;
  collect();  // one at a time, so that they come in order
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  variables.push_back(fmt::format("CAPSTAN_EVENT={}", event));
  variables.push_back(fmt::format("CAPSTAN_RUN={}", run_.string()));
  variables.push_back(fmt::format("CAPSTAN_STEP={}", step));
  variables.push_back(fmt::format("CAPSTAN_MESSAGE={}", message));
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string shell = "/bin/sh", flag = "-c";
  char* arguments[] = {shell.data(), flag.data(), command_.data(), nullptr};
  const int error = ::posix_spawn(&child_, shell.c_str(), nullptr, nullptr, arguments, environment.data());
  if (error == 0) return;
  child_ = 0;
  log_warning(fmt::format("on_event: '{}' cannot be started: {}", command_, std::strerror(error)));
}

void EventHook::collect() {
  if (child_ == 0) return;
  int status = 0;
  pid_t ended = 0;
  const auto begin = std::chrono::steady_clock::now();
  while ((ended = ::waitpid(child_, &status, WNOHANG)) == 0) {
    if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(10)) {
      log_warning(fmt::format("on_event: '{}' still runs; it is left to itself", command_));
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (ended > 0 && status != 0)
    log_warning(fmt::format("on_event: '{}' ended with {}", command_,
                            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  child_ = 0;
}

}  // namespace capstan
