// Commands of the probe. Each looks at argv[1] and returns the exit status, or -1 when that is none of its commands.
#pragma once
#define CAPSTAN_PROBE(name) int probe_##name(int argc, char** argv);
#include "support/probe.def"
#undef CAPSTAN_PROBE
