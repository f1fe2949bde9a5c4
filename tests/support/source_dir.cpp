#include "support/source_dir.h"

namespace capstan::testing {

std::filesystem::path source_dir() { return CAPSTAN_SOURCE_DIR; }

}  // namespace capstan::testing
