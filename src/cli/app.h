// The program: finds the command, fills in its settings (default < --config < command line), runs it, and turns errors
// into messages and exit codes:
//   standard error:  r1 COMMAND: error: MESSAGE
//   with --json also, on standard output:  {"error": {"code": 64, "message": "..."}}
#pragma once

#include <string>
#include <vector>

namespace r1::cli {

// words: the command line without the program's name. Returns the exit code.
int RunApp(const std::vector<std::string>& words);

}  // namespace r1::cli
