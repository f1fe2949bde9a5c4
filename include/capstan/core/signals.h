// Signals become flags that loops look at between steps.
#pragma once

namespace capstan {

// From now on the first SIGINT or SIGTERM only sets the flag; a second SIGINT ends the program at once. SIGUSR1, with
// which SLURM warns of the end of a job's time, asks for a checkpoint.
void install_stop_handlers();
bool stop_requested();
// 130 after SIGINT, 143 after SIGTERM, 0 when none came.
int stop_exit_code();
int stop_signal();  // 0 when none came
// Whether SIGUSR1 came since the last call.
bool take_save_request();
// Tests: set the flag as a signal would (SIGINT, SIGTERM, or 0 to clear).
void request_stop(int signal_number);

}  // namespace capstan
