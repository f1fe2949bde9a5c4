// The program that the Python parity tests drive: numbers of our libraries, in files that Python reads.
#include <cstdio>
#include <exception>

#include "support/probe_commands.h"

int main(int argc, char** argv) {
  try {
#define CAPSTAN_PROBE(name) \
  if (const int status = probe_##name(argc, argv); status >= 0) return status;
#include "support/probe.def"
#undef CAPSTAN_PROBE
    std::fprintf(stderr, "capstan_probe: unknown command; see tests/support/probe_*.cpp\n");
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "capstan_probe: %s\n", error.what());
    return 1;
  }
}
