// The list of commands; each is made in a file of its own under commands/.
#pragma once
#include <vector>

#include "cli.h"

namespace capstan::cli {

std::vector<Command> commands();

}  // namespace capstan::cli
