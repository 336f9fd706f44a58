// Reads the words after `r1 COMMAND` against the command's settings and positionals.
//
//   --name value   --name=value   --flag   --flag=false   --flag false   --no-flag   --   (all that follows is
//   positional)
//
// '-' and '_' are the same. A dotted name may be shortened to its end if only one setting ends so (--learning-rate for
// --optimizer.learning_rate). Of a setting given twice the later value holds. An unknown name is an error that names
// the nearest right one.
//
// This is our own reader, not CLI11: the names are known only at run time (they come from the config structs), must
// also match as keys of the file, with dashes or underscores, and unknown ones need a suggestion; with CLI11 each of
// these is a callback around it, for 10 s of compile time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "cli/command.h"

namespace r1::cli {

// Options that exist beside a command's own settings.
struct CommonOptions {
  bool help = false;
  bool json = false;
  bool dry_run = false;
  std::string log_level;                  // "" if not given
  std::vector<std::string> config_files;  // --config, in order
};

struct Setting {
  Field field;
  std::string text;
};

struct Arguments {
  CommonOptions common;
  std::vector<Setting> settings;  // in the order given; values not yet parsed
  std::vector<std::string> positionals;
};

// One of the options every command may have, as help and completion list them.
struct CommonOption {
  const char* name;   // without dashes
  const char* value;  // "" for a flag
  const char* help;
};
// Those that `command` accepts.
std::vector<CommonOption> CommonOptionsOf(const Command& command);

// Checks names and positionals; does not touch the config. With --help nothing that follows is checked.
Result<Arguments> ReadArguments(const Command& command, const FieldList& fields, const std::vector<std::string>& words);

// The first word that is neither an option nor an option's value, as far as the settings known yet tell; "" if there is
// none.
std::string FirstPositional(const Command& command, const FieldList& fields, const std::vector<std::string>& words);

// The field an option means: by full name, else by the only name that ends in ".name". Error kUsage says what is near.
Result<Field> ResolveOption(const Command& command, const FieldList& fields, std::string_view name);

// Words such as "grpo|ppo" in a field's help: the values it may have; empty if there are none.
std::vector<std::string> ChoicesInHelp(std::string_view help);

// True if a text setting holds the name of a file or folder, by its name (…_dir, …_path, …_file, model, tokenizer).
bool IsPathField(const Field& field);

}  // namespace r1::cli
