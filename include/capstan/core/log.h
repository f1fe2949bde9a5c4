// One line per event on standard error. Libraries never write to standard output.
#pragma once
#include <string_view>

namespace capstan {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void set_log_level(LogLevel lowest);
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace capstan
