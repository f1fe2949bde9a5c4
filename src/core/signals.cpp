#include "capstan/core/signals.h"

#include <csignal>

namespace capstan {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

// Only sets a flag: nothing else is safe in a handler. A second SIGINT gets the default action.
void on_signal(int signal_number) {
  stop_signal = signal_number;
  if (signal_number == SIGINT) std::signal(SIGINT, SIG_DFL);
}

}  // namespace

void install_stop_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool stop_requested() { return stop_signal != 0; }

int stop_exit_code() { return stop_signal == 0 ? 0 : 128 + static_cast<int>(stop_signal); }

void request_stop(int signal_number) { stop_signal = signal_number; }

}  // namespace capstan
