// The table of all commands. Each function is in the file of its name.
#pragma once

#include <vector>

#include "cli/command.h"

namespace r1::cli {

Command BenchCommand();
Command CompletionCommand();
Command ConvertCommand();
Command DiffRunsCommand();
Command DistillCommand();
Command DoctorCommand();
Command EvalCommand();
Command GenerateCommand();
Command InspectCommand();
Command LogitsCommand();
Command PretrainCommand();
Command ReportCommand();
Command RlCommand();
Command RmCommand();
Command RunCommand();
Command SampleCommand();
Command SftCommand();
Command TemplateCommand();
Command TokenizeCommand();
Command VersionCommand();

// In the order of `r1 --help`.
std::vector<Command> AllCommands();

}  // namespace r1::cli
