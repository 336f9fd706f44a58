#include "cli/commands.h"

namespace r1::cli {

std::vector<Command> AllCommands() {
  return {RunCommand(),      PretrainCommand(), SftCommand(),      RlCommand(),       RmCommand(),
          SampleCommand(),   DistillCommand(),  GenerateCommand(), EvalCommand(),     ReportCommand(),
          InspectCommand(),  LogitsCommand(),   TokenizeCommand(), TemplateCommand(), ConvertCommand(),
          DiffRunsCommand(), DoctorCommand(),   VersionCommand(),  BenchCommand(),    CompletionCommand()};
}

}  // namespace r1::cli
