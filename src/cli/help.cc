#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/args.h"
#include "cli/output.h"

namespace r1::cli {
namespace {

constexpr size_t kColumn = 34;  // where explanations of options begin

std::string OptionName(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

// "--name VALUE" and its explanation: in two columns, or one under the other if the name is long.
std::string Entry(const std::string& left, const std::string& right, int width) {
  std::string explanation = WrapText(right, static_cast<size_t>(width), kColumn);
  std::string text = "  " + left;
  if (text.size() + 2 > kColumn) return text + "\n" + explanation + "\n";
  explanation.replace(0, std::min(text.size(), explanation.size()), text);
  return explanation + "\n";
}

std::string ValueName(const Field& field) {
  if (std::holds_alternative<bool*>(field.value)) return "";
  if (std::holds_alternative<int64_t*>(field.value)) return " INTEGER";
  if (std::holds_alternative<double*>(field.value)) return " NUMBER";
  return IsPathField(field) ? " PATH" : " TEXT";
}

std::string FieldEntry(const Field& field, int width) {
  const bool flag = std::holds_alternative<bool*>(field.value);
  const std::string name = OptionName(field.name);
  std::string shown = FieldText(field);
  if (flag) {
    shown = shown == "true" ? "on" : "off";
  } else if (shown.empty()) {
    shown = "none";
  }
  const std::string left = flag && shown == "on" ? "--no-" + name.substr(2) : name + ValueName(field);
  return Entry(left, fmt::format("{}{} [{}]", left.rfind("--no-", 0) == 0 ? "turn off: " : "", field.help, shown),
               width);
}

// Settings in the order of the struct, those of one table ("model.") together under its heading, the loose ones first.
std::string SettingsText(const FieldList& fields, int width) {
  std::vector<std::string> tables;
  for (const Field& field : fields) {
    const size_t dot = field.name.rfind('.');
    const std::string table = dot == std::string::npos ? "" : field.name.substr(0, dot);
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
  }
  std::stable_partition(tables.begin(), tables.end(), [](const std::string& table) { return table.empty(); });
  std::string text;
  for (const std::string& table : tables) {
    text += table.empty() ? "\nSettings\n" : fmt::format("\nSettings of {}\n", table);
    for (const Field& field : fields) {
      const size_t dot = field.name.rfind('.');
      if (table == (dot == std::string::npos ? "" : field.name.substr(0, dot))) text += FieldEntry(field, width);
    }
  }
  return text;
}

std::string UsageLine(const Command& command, bool has_settings) {
  std::string line = "r1 " + command.name;
  for (const Positional& positional : command.positionals) {
    const std::string name = positional.name + (positional.many ? "..." : "");
    line += positional.required ? " " + name : " [" + name + "]";
  }
  if (!has_settings) return line + " [--option]...";
  return line + (command.more_fields ? "" : " [--config FILE]") + " [--setting VALUE]...";
}

}  // namespace

std::string OverviewText(const std::vector<Command>& commands, int width) {
  std::string text =
      "r1: the DeepSeek-R1 recipe in one program. Trains a language model from nothing, makes it think by "
      "reinforcement\n"
      "learning, measures it, and shows what it does.\n\n"
      "Usage: r1 COMMAND [ARGUMENT]... [--option VALUE]...\n";
  std::vector<std::string> groups;
  size_t longest = 0;
  for (const Command& command : commands) {
    longest = std::max(longest, command.name.size());
    if (std::find(groups.begin(), groups.end(), command.group) == groups.end()) groups.push_back(command.group);
  }
  for (const std::string& group : groups) {
    text += "\n" + group + "\n";
    for (const Command& command : commands) {
      if (command.group != group) continue;
      std::string summary = WrapText(command.summary, static_cast<size_t>(width), longest + 4);
      const std::string left = "  " + command.name;
      text += summary.replace(0, left.size(), left) + "\n";
    }
  }
  text +=
      "\nStart here\n"
      "  r1 doctor                     what this machine offers\n"
      "  r1 COMMAND --help             what a command does, with examples and every setting\n"
      "  r1 version                    which build this is\n";
  return text;
}

std::string CommandHelpText(const Command& command, const FieldList& fields, int width) {
  const auto columns = static_cast<size_t>(width);
  std::string text = WrapText(fmt::format("r1 {}: {}.", command.name, command.summary), columns, 0) + "\n\n";
  text += "Usage: " + UsageLine(command, !fields.empty()) + "\n";
  if (!command.description.empty()) text += "\n" + WrapText(command.description, columns, 0) + "\n";
  if (!command.examples.empty()) text += command.examples.size() == 1 ? "\nExample\n" : "\nExamples\n";
  for (const Example& example : command.examples) {
    text += "  " + example.line + "\n" + WrapText(example.meaning, columns, 6) + "\n";
  }
  if (!command.positionals.empty()) text += "\nArguments\n";
  for (const Positional& positional : command.positionals) {
    std::string help = positional.help;
    if (!positional.choices.empty()) help += fmt::format(" ({})", fmt::join(positional.choices, ", "));
    if (!positional.required) help += " (may be left out)";
    text += Entry(positional.name + (positional.many ? "..." : ""), help, width);
  }
  text += SettingsText(fields, width);
  text += "\nCommon options\n";
  for (const CommonOption& option : CommonOptionsOf(command)) {
    text += Entry(std::string("--") + option.name + (option.value[0] == '\0' ? "" : std::string(" ") + option.value),
                  option.help, width);
  }
  if (!fields.empty()) {
    const std::string keys = command.more_fields
                                 ? "A dotted name may be shortened to its end if only one setting ends so."
                                 : "The same names, with underscores, are the keys of the --config file.";
    text += "\n" +
            WrapText(
                "In square brackets: the value if nothing is said. Dashes and underscores are equal, --name=VALUE is "
                "--name VALUE, and --no-name is --name=false. " +
                    keys,
                columns, 0) +
            "\n";
  }
  return text;
}

}  // namespace r1::cli
