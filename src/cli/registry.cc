#include "cli/commands.h"

namespace r1::cli {

std::vector<Command> AllCommands() {
  return {InspectCommand(), DiffRunsCommand(), DoctorCommand(), VersionCommand(), CompletionCommand()};
}

}  // namespace r1::cli
