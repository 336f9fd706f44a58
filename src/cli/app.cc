#include "cli/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>

#include "base/config.h"
#include "base/json.h"
#include "base/log.h"
#include "base/quote.h"
#include "base/toml.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"

namespace r1::cli {
namespace {

int ReportError(const std::string& who, const Error& error, bool json) {
  const int code = static_cast<int>(error.code);
  PrintError(fmt::format("{}: error: {}", who, error.message));
  if (json) PrintJson({{"error", {{"code", code}, {"message", error.message}}}});
  return code;
}

void ApplyLogLevel(const std::string& name) {
  if (name == "debug") SetLogLevel(LogLevel::kDebug);
  if (name == "info") SetLogLevel(LogLevel::kInfo);
  if (name == "warn") SetLogLevel(LogLevel::kWarn);
  if (name == "error") SetLogLevel(LogLevel::kError);
}

const Command* FindCommand(const std::vector<Command>& commands, std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  for (const Command& command : commands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

Error UnknownCommand(const std::vector<Command>& commands, const std::string& name) {
  std::vector<std::string> names{"help"};
  for (const Command& command : commands) names.push_back(command.name);
  const std::string nearest = NearestName(name, names);
  return Error{ErrorCode::kUsage, fmt::format("unknown command {}; {}", Quote(name),
                                              nearest.empty() ? "'r1 --help' lists the commands"
                                                              : fmt::format("did you mean '{}'?", nearest))};
}

std::string CommandLine(const std::vector<std::string>& words) {
  std::string line = "r1";
  for (const std::string& word : words) line += " " + ShellQuote(word);
  return line;
}

bool AsksForHelp(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

// Dotted names of a file's keys that are settings.
void CollectGiven(const nlohmann::ordered_json& table, const std::string& prefix, const FieldList& fields,
                  std::vector<std::string>* given) {
  for (const auto& [key, value] : table.items()) {
    if (value.is_object()) {
      CollectGiven(value, prefix + key + ".", fields, given);
    } else if (const Field* field = FindField(fields, prefix + key)) {
      given->push_back(field->name);
    }
  }
}

Status ApplyFile(const std::string& path, const FieldList& fields, std::vector<std::string>* given) {
  R1_TRY(ApplyConfigFile(path, fields));
  nlohmann::ordered_json table;
  if (path.ends_with(".json")) {
    R1_ASSIGN(table, ReadJsonFile(path));
  } else {
    R1_ASSIGN(table, ReadTomlFile(path));
  }
  CollectGiven(table, "", fields, given);
  return {};
}

// Stores a setting of the command in its config, one of a recipe among the overrides.
Status Store(const Setting& setting, const FieldList& fields, Invocation* invocation) {
  Field shown = setting.field;  // messages name the option as it is written here
  std::replace(shown.name.begin(), shown.name.end(), '_', '-');
  if (Status set = SetField(shown, setting.text); !set.ok()) return Error{set.error().code, "--" + set.error().message};
  if (FindField(fields, setting.field.name) != nullptr) {
    invocation->given.push_back(setting.field.name);
  } else {
    invocation->overrides.emplace_back(setting.field.name, setting.text);
  }
  return {};
}

int PrintSettings(const FieldList& fields, bool json) {
  if (json) {
    PrintJson(FieldsToJson(fields));
  } else {
    Print(FieldsToToml(fields, true));
  }
  return 0;
}

Result<int> RunCommand(const Command& command, const std::vector<std::string>& line) {
  const std::vector<std::string> words(line.begin() + 1, line.end());
  const FieldList fields = command.fields ? command.fields() : FieldList{};
  FieldList all = fields;
  if (const std::string first = command.more_fields ? FirstPositional(command, fields, words) : ""; !first.empty()) {
    Result<FieldList> more = command.more_fields(first);
    if (!more.ok() && !AsksForHelp(words)) return more.error();
    if (more.ok()) all.insert(all.end(), more->begin(), more->end());
  }
  R1_ASSIGN(Arguments arguments, ReadArguments(command, all, words));
  if (arguments.common.help) {
    Print(CommandHelpText(command, all, TerminalWidth()));
    return 0;
  }
  ApplyLogLevel(arguments.common.log_level);
  Invocation invocation;
  for (const std::string& file : arguments.common.config_files) R1_TRY(ApplyFile(file, fields, &invocation.given));
  for (const Setting& setting : arguments.settings) R1_TRY(Store(setting, fields, &invocation));
  invocation.positionals = std::move(arguments.positionals);
  invocation.config_files = arguments.common.config_files;
  invocation.command_line = CommandLine(line);
  invocation.json = arguments.common.json;
  if (!arguments.common.dry_run) return command.run(invocation);
  return command.dry_run ? command.dry_run(invocation) : PrintSettings(fields, invocation.json);
}

int Help(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  if (words.size() < 2 || words[1].rfind("-", 0) == 0 || words[1] == "help") {
    Print(OverviewText(commands, TerminalWidth()));
    return 0;
  }
  const Command* command = FindCommand(commands, words[1]);
  if (command == nullptr) return ReportError("r1 help", UnknownCommand(commands, words[1]), false);
  Print(CommandHelpText(*command, command->fields ? command->fields() : FieldList{}, TerminalWidth()));
  return 0;
}

int Dispatch(const std::vector<std::string>& words) {
  const std::vector<Command> commands = AllCommands();
  const bool json =
      std::any_of(words.begin(), words.end(), [](const std::string& w) { return w == "--json" || w == "--json=true"; });
  if (words.empty()) {
    PrintError(OverviewText(commands, TerminalWidth()));
    return static_cast<int>(ErrorCode::kUsage);
  }
  const std::string& first = words[0];
  if (first == "help" || first == "--help" || first == "-h") return Help(commands, words);
  std::vector<std::string> effective = words;
  if (first == "--version" || first == "-V") effective[0] = "version";
  const Command* command = FindCommand(commands, effective[0]);
  if (command == nullptr) {
    const bool option = first.rfind("-", 0) == 0;
    return ReportError(
        "r1",
        option
            ? Error{ErrorCode::kUsage,
                    fmt::format("the command comes before its options: found {} first; 'r1 --help' lists the commands",
                                Quote(first))}
            : UnknownCommand(commands, first),
        json);
  }
  const std::string who = "r1 " + command->name;
  try {
    const Result<int> code = RunCommand(*command, effective);
    return code.ok() ? *code : ReportError(who, code.error(), json);
  } catch (const std::bad_alloc&) {
    return ReportError(
        who, Error{ErrorCode::kTryAgain, "out of memory: close other programs, or use a smaller model or batch"}, json);
  } catch (const std::exception& error) {
    return ReportError(
        who, Error{ErrorCode::kInternal, fmt::format("this is a bug, please report it: {}", error.what())}, json);
  }
}

}  // namespace

int RunApp(const std::vector<std::string>& words) {
  const int code = Dispatch(words);
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (flushed || code != 0) return code;
  // A reader that went away ("| head") knows; a full disk does not.
  if (errno != EPIPE)
    PrintError(fmt::format("r1: error: cannot write to standard output: {}",
                           errno != 0 ? std::strerror(errno) : "write failed"));
  return static_cast<int>(ErrorCode::kIo);
}

}  // namespace r1::cli
