// What a command of r1 is: one entry of one table (commands.h) from which the command line is read, --help is written,
// shell completion is generated and the work is started. A command file fills in one Command and contains its run
// function.
//
// Settings are the fields of the command's config struct (base/fields.h). They take their values in this order, later
// wins: default < --config file < command line.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fields.h"
#include "base/result.h"

namespace r1::cli {

// An argument without a name. Required ones come first; only the last may be `many`.
struct Positional {
  std::string name;  // as shown in the usage line, e.g. "RUN"
  std::string help;
  bool required = true;
  bool many = false;                      // takes all that remain
  std::vector<std::string> choices = {};  // if not empty, the only values allowed
};

struct Example {
  std::string line;     // what to type
  std::string meaning;  // what it does
};

// What is left of the command line once the settings are stored in the config struct.
struct Invocation {
  std::vector<std::string> positionals;
  std::vector<std::string> config_files;  // as applied, in order
  std::vector<std::string> given;         // names of the settings that a file or the command line set, in order
  // Settings of `more_fields` from the command line: full name and text, in order.
  std::vector<std::pair<std::string, std::string>> overrides;
  std::string command_line;  // the whole line, quoted for a POSIX shell
  bool json = false;         // stdout must be exactly one JSON document
};

struct Command {
  std::string name;
  std::string group;        // heading in `r1 --help`
  std::string summary;      // one line, no full stop
  std::string description;  // paragraphs for --help, separated by empty lines
  std::vector<Example> examples;
  std::vector<Positional> positionals;
  bool reports = false;               // offers --json
  std::function<FieldList()> fields;  // the same storage at each call; null if there are no settings
  // Further settings that depend on the first positional (those of a recipe's stages). Their values are not stored but
  // handed over as Invocation::overrides; null if there are none.
  std::function<Result<FieldList>(const std::string& first_positional)> more_fields;
  std::function<Result<int>(const Invocation&)> run;  // exit code 0 or 1, or an error with its own code
  // Called instead of printing the settings when --dry-run is given; null if printing them is all there is to say.
  std::function<Result<int>(const Invocation&)> dry_run;
};

// Makes `command` own a Config and run on it.
template <class Config>
void Bind(Command& command, Result<int> (*run)(const Config&, const Invocation&)) {
  auto config = std::make_shared<Config>();
  command.fields = [config] { return CollectFields(*config); };
  command.run = [config, run](const Invocation& invocation) { return run(*config, invocation); };
}

}  // namespace r1::cli
