#include "commands.h"

namespace capstan::cli {

#define CAPSTAN_COMMAND(name) Command name##_command();
#include "commands.def"
#undef CAPSTAN_COMMAND

std::vector<Command> commands() {
  return {
#define CAPSTAN_COMMAND(name) name##_command(),
#include "commands.def"
#undef CAPSTAN_COMMAND
  };
}

}  // namespace capstan::cli
