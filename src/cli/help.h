// The pages that teach: `r1 --help` and `r1 COMMAND --help`, written from the table of commands and fields.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace r1::cli {

// All commands by group. Lines are at most `width` columns where words allow.
std::string OverviewText(const std::vector<Command>& commands, int width);

// One command: purpose, usage, examples, arguments, settings (by table, with type and default), common options. fields:
// its settings and those of a recipe, if one was named.
std::string CommandHelpText(const Command& command, const FieldList& fields, int width);

}  // namespace r1::cli
