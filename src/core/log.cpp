#include "capstan/core/log.h"

#include <unistd.h>

#include <atomic>
#include <string>

namespace capstan {
namespace {

std::atomic<LogLevel> lowest_level{LogLevel::kInfo};

void write_line(LogLevel level, std::string_view prefix, std::string_view message) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  std::string line(prefix);
  line += message;
  line += '\n';
  // One write call, so that lines of several threads or processes do not mix.
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace

void set_log_level(LogLevel lowest) { lowest_level.store(lowest, std::memory_order_relaxed); }
void log_debug(std::string_view message) { write_line(LogLevel::kDebug, "debug: ", message); }
void log_info(std::string_view message) { write_line(LogLevel::kInfo, "", message); }
void log_warning(std::string_view message) { write_line(LogLevel::kWarning, "warning: ", message); }
void log_error(std::string_view message) { write_line(LogLevel::kError, "error: ", message); }

}  // namespace capstan
