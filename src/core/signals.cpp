#include "capstan/core/signals.h"

#include <csignal>

namespace capstan {
namespace {

volatile std::sig_atomic_t stop = 0;
volatile std::sig_atomic_t save = 0;

// Only sets a flag: nothing else is safe in a handler. A second SIGINT gets the default action.
void on_signal(int signal_number) {
  stop = signal_number;
  if (signal_number == SIGINT) std::signal(SIGINT, SIG_DFL);
}

void on_save_signal(int) { save = 1; }

}  // namespace

void install_stop_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGUSR1, on_save_signal);
}

bool stop_requested() { return stop != 0; }

int stop_exit_code() { return stop == 0 ? 0 : 128 + static_cast<int>(stop); }

int stop_signal() { return static_cast<int>(stop); }

bool take_save_request() {
  const bool asked = save != 0;
  save = 0;
  return asked;
}

void request_stop(int signal_number) { stop = signal_number; }

}  // namespace capstan
