#include "cli/completion_script.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/args.h"

namespace r1::cli {
namespace {

// What the scripts need to know about one option.
struct Option {
  std::string name;  // "--learning-rate"
  std::string help;
  bool takes_value = false;
  bool path = false;
  std::vector<std::string> values;
};

std::vector<Option> OptionsOf(const Command& command) {
  std::vector<Option> options;
  if (command.fields) {
    for (const Field& field : command.fields()) {
      std::string name = "--" + field.name;
      std::replace(name.begin(), name.end(), '_', '-');
      const bool flag = std::holds_alternative<bool*>(field.value);
      const bool text = std::holds_alternative<std::string*>(field.value);
      options.push_back(
          {name, field.help, !flag, IsPathField(field), text ? ChoicesInHelp(field.help) : std::vector<std::string>{}});
      if (flag) options.push_back({"--no-" + name.substr(2), "not: " + field.help, false, false, {}});
    }
  }
  for (const CommonOption& common : CommonOptionsOf(command)) {
    const std::string_view value = common.value;
    options.push_back(
        {std::string("--") + common.name, common.help, !value.empty(), value == "FILE", ChoicesInHelp(value)});
  }
  return options;
}

// Choices of the first positional that has any (no command has two).
std::vector<std::string> PositionalChoices(const Command& command) {
  for (const Positional& positional : command.positionals) {
    if (!positional.choices.empty()) return positional.choices;
  }
  return {};
}

std::string SingleQuoted(std::string_view text, std::string_view escaped_quote) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string(escaped_quote) : std::string(1, c);
  return out + "'";
}

std::string BashScript(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& command : commands) names += (names.empty() ? "" : " ") + command.name;
  std::string text =
      "# bash completion for r1. To use it now: source <(r1 completion bash)\n"
      "_r1() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options= words= files=\n"
      "  COMPREPLY=()\n"
      "  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
      "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
      "    COMPREPLY=($(compgen -W '" +
      names +
      " --help --version' -- \"$cur\"))\n"
      "    return\n"
      "  fi\n"
      "  case ${COMP_WORDS[1]} in\n";
  for (const Command& command : commands) {
    std::string options, cases;
    for (const Option& option : OptionsOf(command)) {
      options += (options.empty() ? "" : " ") + option.name;
      if (!option.takes_value) continue;
      const std::string action = !option.values.empty() ? fmt::format("words='{}'", fmt::join(option.values, " "))
                                 : option.path          ? "files=1"
                                                        : "return";
      cases += fmt::format("        {}) {};;\n", option.name, action);
    }
    const std::vector<std::string> choices = PositionalChoices(command);
    text += fmt::format("    {})\n      options='{}'\n", command.name, options);
    if (!cases.empty()) text += "      case $prev in\n" + cases + "      esac\n";
    if (!choices.empty()) {
      text += fmt::format("      [[ $cur != -* && -z $words$files ]] && words='{}'\n", fmt::join(choices, " "));
    } else if (!command.positionals.empty()) {
      text += "      [[ $cur != -* && -z $words ]] && files=1\n";
    }
    text += "      ;;\n";
  }
  text +=
      "    *) return;;\n"
      "  esac\n"
      "  if [[ -n $words ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  elif [[ -n $files ]]; then\n"
      "    compopt -o filenames 2>/dev/null\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
      "  else\n"
      "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
      "  fi\n"
      "}\n"
      "complete -F _r1 r1\n";
  return text;
}

// Text inside a zsh _arguments specification: brackets and colons have a meaning there.
std::string ZshText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string ZshScript(const std::vector<Command>& commands) {
  std::string text =
      "#compdef r1\n"
      "# zsh completion for r1. To use it now: source <(r1 completion zsh)\n"
      "_r1() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const Command& command : commands) {
    text += "    " + SingleQuoted(command.name + ":" + ZshText(command.summary), "'\\''") + "\n";
  }
  text +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n";
  for (const Command& command : commands) {
    text += "    " + command.name + ")\n      _arguments";
    for (const Option& option : OptionsOf(command)) {
      std::string spec = option.name + (option.takes_value ? "=" : "") + "[" + ZshText(option.help) + "]";
      if (option.takes_value) {
        spec += ":value:";
        if (!option.values.empty()) {
          spec += fmt::format("({})", fmt::join(option.values, " "));
        } else if (option.path) {
          spec += "_files";
        } else {
          spec += " ";
        }
      }
      text += " \\\n        " + SingleQuoted(spec, "'\\''");
    }
    for (size_t i = 0; i < command.positionals.size(); ++i) {
      const Positional& positional = command.positionals[i];
      const std::string where = positional.many ? "*" : std::to_string(i + 1);
      const std::string action =
          positional.choices.empty() ? "_files" : fmt::format("({})", fmt::join(positional.choices, " "));
      text += " \\\n        " + SingleQuoted(where + ":" + ZshText(positional.name) + ":" + action, "'\\''");
    }
    text += "\n      ;;\n";
  }
  text +=
      "  esac\n"
      "}\n"
      "if [[ $funcstack[1] == _r1 ]]; then\n"
      "  _r1 \"$@\"\n"
      "else\n"
      "  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
      "  compdef _r1 r1\n"
      "fi\n";
  return text;
}

std::string FishText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += '\\';
    out += c;
  }
  return SingleQuoted(out, "\\'");
}

std::string FishScript(const std::vector<Command>& commands) {
  std::string text =
      "# fish completion for r1. To use it now: r1 completion fish | source\n"
      "complete -c r1 -f\n";
  for (const Command& command : commands) {
    text +=
        fmt::format("complete -c r1 -n __fish_use_subcommand -a {} -d {}\n", command.name, FishText(command.summary));
  }
  for (const Command& command : commands) {
    const std::string condition = fmt::format("complete -c r1 -n '__fish_seen_subcommand_from {}'", command.name);
    for (const Option& option : OptionsOf(command)) {
      text += fmt::format("{} -l {} -d {}", condition, option.name.substr(2), FishText(option.help));
      if (!option.values.empty()) {
        text += fmt::format(" -x -a {}", FishText(fmt::format("{}", fmt::join(option.values, " "))));
      } else if (option.takes_value) {
        text += option.path ? " -r -F" : " -x";
      }
      text += "\n";
    }
    const std::vector<std::string> choices = PositionalChoices(command);
    if (!choices.empty()) {
      text += fmt::format("{} -a {}\n", condition, FishText(fmt::format("{}", fmt::join(choices, " "))));
    } else if (!command.positionals.empty()) {
      text += condition + " -F\n";
    }
  }
  return text;
}

}  // namespace

std::string CompletionScript(std::string_view shell, const std::vector<Command>& commands) {
  if (shell == "bash") return BashScript(commands);
  if (shell == "zsh") return ZshScript(commands);
  if (shell == "fish") return FishScript(commands);
  return "";
}

}  // namespace r1::cli
