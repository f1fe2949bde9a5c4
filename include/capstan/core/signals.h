// SIGINT and SIGTERM become a flag that loops look at between steps.
#pragma once

namespace capstan {

// From now on the first SIGINT or SIGTERM only sets the flag; a second SIGINT ends the program at once.
void install_stop_handlers();
bool stop_requested();
// 130 after SIGINT, 143 after SIGTERM, 0 when none came.
int stop_exit_code();
// Tests: set the flag as a signal would (SIGINT, SIGTERM, or 0 to clear).
void request_stop(int signal_number);

}  // namespace capstan
