// How this process gets memory from the system.
#pragma once

namespace capstan {

// From now on memory that is freed stays with the process and is used again. Otherwise every tensor of some megabytes
// is fresh memory, which the system clears first: a quarter of the time of a training step on a CPU. Does nothing where
// the C library is not glibc.
void keep_freed_memory();

}  // namespace capstan
