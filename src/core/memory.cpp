#include "capstan/core/memory.h"

#include <cstdlib>  // says which C library it is
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace capstan {

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);                                      // large blocks come from the heap too
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());  // and what is free at its end is not given back
#endif
}

}  // namespace capstan
