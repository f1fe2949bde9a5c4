// The capstan program. Exit codes: 0 done, 1 failed, 2 usage or configuration, 130/143 stopped by a signal.
#include <exception>
#include <new>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "cli.h"
#include "commands.h"

int main(int argc, char** argv) {
  capstan::install_stop_handlers();
  try {
    return capstan::cli::run_program(argc, argv, capstan::cli::commands());
  } catch (const capstan::Error& error) {
    capstan::log_error(error.what());
    return capstan::stop_requested() ? capstan::stop_exit_code() : error.exit_code();
  } catch (const std::bad_alloc&) {
    capstan::log_error("out of memory; use a smaller batch_size");
    return 1;
  } catch (const std::exception& error) {
    capstan::log_error(error.what());
    return 1;
  }
}
