// r1 completion: prints the script that lets a shell complete commands, options and values.
#include "cli/commands.h"
#include "cli/completion_script.h"
#include "cli/output.h"

namespace r1::cli {
namespace {

Result<int> Run(const Invocation& invocation) {
  Print(CompletionScript(invocation.positionals[0], AllCommands()));
  return 0;
}

}  // namespace

Command CompletionCommand() {
  Command command;
  command.name = "completion";
  command.group = "This machine and this program";
  command.summary = "print the script with which a shell completes r1 commands and options";
  command.description =
      "Put the line of the example into the start file of your shell (~/.bashrc, ~/.zshrc, "
      "~/.config/fish/config.fish).";
  command.examples = {
      {"source <(r1 completion bash)", "complete in this bash from now on; zsh is the same with its own name"},
      {"r1 completion fish | source", "the same in fish"}};
  command.positionals = {{"SHELL", "the shell to write for", true, false, {"bash", "zsh", "fish"}}};
  command.run = Run;
  return command;
}

}  // namespace r1::cli
