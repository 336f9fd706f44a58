// Shell completion written from the table of commands and their fields: commands, options, values named in an option's
// help
// ("grpo|ppo"), file names for path settings, and the choices of positionals.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace r1::cli {

// shell is bash, zsh or fish; "" for any other.
std::string CompletionScript(std::string_view shell, const std::vector<Command>& commands);

}  // namespace r1::cli
