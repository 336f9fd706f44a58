#include "cli/args.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"

namespace r1::cli {
namespace {

constexpr const char* kLogLevels[] = {"debug", "info", "warn", "error"};

std::string Underscored(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

std::string Dashed(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

Error Usage(std::string message) { return Error{ErrorCode::kUsage, std::move(message)}; }

bool IsBool(const Field& field) { return std::holds_alternative<bool*>(field.value); }

// The state of one reading, word by word.
class Reader {
 public:
  Reader(const Command& command, const FieldList& fields, const std::vector<std::string>& words)
      : command_(command), fields_(fields), words_(words) {}

  Result<Arguments> Read() {
    bool options_ended = false;
    for (next_ = 0; next_ < words_.size();) {
      const std::string& word = words_[next_++];
      if (options_ended || word.size() < 2 || word[0] != '-' || IsNumber(word)) {
        arguments_.positionals.push_back(word);
      } else if (word == "--") {
        options_ended = true;
      } else {
        R1_TRY(ReadOption(word));
      }
      if (arguments_.common.help) return std::move(arguments_);
    }
    R1_TRY(CheckPositionals());
    return std::move(arguments_);
  }

 private:
  static bool IsNumber(const std::string& word) {
    return word.size() > 1 && word[0] == '-' && (word[1] == '.' || (word[1] >= '0' && word[1] <= '9'));
  }

  Status ReadOption(const std::string& word) {
    if (word[1] != '-' && word != "-h") {
      return Usage(fmt::format("unknown option {}; options are written with two dashes, see 'r1 {} --help'",
                               Quote(word), command_.name));
    }
    const size_t equals = word.find('=');
    const std::string name =
        word == "-h" ? "help"
                     : Underscored(std::string_view(word).substr(2, equals == std::string::npos ? equals : equals - 2));
    const bool has_value = equals != std::string::npos;
    const std::string value = has_value ? word.substr(equals + 1) : "";
    const std::vector<CommonOption> common = CommonOptionsOf(command_);
    for (const CommonOption& option : common) {
      if (name == Underscored(option.name)) return ReadCommon(option, has_value, value);
    }
    return ReadSetting(name, has_value, value);
  }

  Status ReadCommon(const CommonOption& option, bool has_value, const std::string& value) {
    const std::string_view name = option.name;
    CommonOptions& common = arguments_.common;
    if (option.value[0] != '\0') {
      std::string text = value;
      if (!has_value) R1_TRY(TakeValue(option.name, option.value, &text));
      if (name == "config") {
        common.config_files.push_back(text);
        return {};
      }
      if (std::find(std::begin(kLogLevels), std::end(kLogLevels), text) == std::end(kLogLevels)) {
        return Usage(fmt::format("--log-level: {} is not one of {}", Quote(text), option.value));
      }
      common.log_level = text;
      return {};
    }
    bool on = true;
    if (has_value) {
      const Field field{option.name, &on, ""};
      if (Status set = SetField(field, value); !set.ok()) return Usage("--" + set.error().message);
    }
    (name == "help" ? common.help : name == "json" ? common.json : common.dry_run) = on;
    return {};
  }

  Status ReadSetting(const std::string& name, bool has_value, const std::string& value) {
    Result<Field> found = ResolveOption(command_, fields_, name);
    if (!found.ok() && name.rfind("no_", 0) == 0) {
      const Result<Field> negated = ResolveOption(command_, fields_, name.substr(3));
      if (negated.ok()) {
        if (!IsBool(*negated)) return Usage(fmt::format("--{}: only on/off options have a 'no-' form", Dashed(name)));
        if (has_value) return Usage(fmt::format("--{} takes no value", Dashed(name)));
        arguments_.settings.push_back({*negated, "false"});
        return {};
      }
    }
    if (!found.ok()) return found.error();
    std::string text = value;
    if (!has_value && IsBool(*found)) {
      const bool spelled = next_ < words_.size() && (words_[next_] == "true" || words_[next_] == "false");
      text = spelled ? words_[next_++] : "true";
    } else if (!has_value) {
      R1_TRY(TakeValue(Dashed(found->name), "a value", &text));
    }
    arguments_.settings.push_back({std::move(*found), std::move(text)});
    return {};
  }

  Status TakeValue(const std::string& name, std::string_view what, std::string* out) {
    const bool missing = next_ >= words_.size() || (words_[next_].rfind("--", 0) == 0 && words_[next_].size() > 2);
    if (missing) {
      return Usage(fmt::format("--{0} needs {1}: --{0}=VALUE{2}", name, what,
                               next_ < words_.size() ? fmt::format(" (found {} instead)", Quote(words_[next_])) : ""));
    }
    *out = words_[next_++];
    return {};
  }

  Status CheckPositionals() const {
    const std::vector<std::string>& given = arguments_.positionals;
    const std::vector<Positional>& wanted = command_.positionals;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i].required && i >= given.size()) {
        return Usage(
            fmt::format("{} is missing: {}; see 'r1 {} --help'", wanted[i].name, wanted[i].help, command_.name));
      }
    }
    const bool open_ended = !wanted.empty() && wanted.back().many;
    if (given.size() > wanted.size() && !open_ended) {
      return Usage(
          fmt::format("unexpected argument {}; see 'r1 {} --help'", Quote(given[wanted.size()]), command_.name));
    }
    for (size_t i = 0; i < given.size(); ++i) {
      const Positional& positional = wanted[std::min(i, wanted.size() - 1)];
      const std::vector<std::string>& choices = positional.choices;
      if (choices.empty() || std::find(choices.begin(), choices.end(), given[i]) != choices.end()) continue;
      const std::string nearest = NearestName(given[i], choices);
      return Usage(fmt::format("{}: {} is not one of {}{}", positional.name, Quote(given[i]), fmt::join(choices, ", "),
                               nearest.empty() ? "" : fmt::format("; did you mean {}?", Quote(nearest))));
    }
    return {};
  }

  const Command& command_;
  const FieldList& fields_;
  const std::vector<std::string>& words_;
  size_t next_ = 0;
  Arguments arguments_;
};

}  // namespace

std::vector<CommonOption> CommonOptionsOf(const Command& command) {
  std::vector<CommonOption> options;
  if (command.fields && !command.more_fields) {
    options.push_back(
        {"config", "FILE", "settings from a TOML or JSON file; the command line wins over it; may be repeated"});
  }
  if (command.fields || command.dry_run)
    options.push_back({"dry-run", "", "print the settings that would be used, and stop"});
  if (command.reports)
    options.push_back({"json", "", "print one JSON document to standard output; messages go to standard error"});
  options.push_back(
      {"log-level", "debug|info|warn|error", "least important messages to show on standard error (default info)"});
  options.push_back({"help", "", "print this page"});
  return options;
}

Result<Field> ResolveOption(const Command& command, const FieldList& fields, std::string_view name) {
  if (const Field* field = FindField(fields, name)) return *field;
  const std::string end = "." + Underscored(name);
  std::vector<const Field*> matches;
  for (const Field& field : fields) {
    const std::string full = Underscored(field.name);
    if (full.size() > end.size() && full.compare(full.size() - end.size(), end.size(), end) == 0)
      matches.push_back(&field);
  }
  if (matches.size() == 1) return *matches[0];
  if (matches.size() > 1) {
    std::string list;
    for (const Field* field : matches) list += (list.empty() ? "--" : ", --") + Dashed(field->name);
    return Usage(fmt::format("option '--{}' could be {}: write it in full", Dashed(name), list));
  }
  std::vector<std::string> names;
  for (const Field& field : fields) names.push_back(field.name);
  for (const CommonOption& option : CommonOptionsOf(command)) names.push_back(option.name);
  std::string nearest = NearestName(name, names);
  if (nearest.empty()) {  // a slip in the end of a dotted name
    std::vector<std::string> ends;
    for (const std::string& full : names)
      ends.push_back(full.substr(full.rfind('.') == std::string::npos ? 0 : full.rfind('.') + 1));
    nearest = NearestName(name, ends);
  }
  return Usage(fmt::format("unknown option {}; {}", Quote("--" + Dashed(name)),
                           nearest.empty() ? fmt::format("see 'r1 {} --help'", command.name)
                                           : fmt::format("did you mean '--{}'?", Dashed(nearest))));
}

Result<Arguments> ReadArguments(const Command& command, const FieldList& fields,
                                const std::vector<std::string>& words) {
  return Reader(command, fields, words).Read();
}

std::string FirstPositional(const Command& command, const FieldList& fields, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") return i + 1 < words.size() ? words[i + 1] : "";
    if (word.rfind("--", 0) != 0) return word;
    if (word.find('=') != std::string::npos) continue;
    const std::string name = Underscored(std::string_view(word).substr(2));
    bool takes_value = name.rfind("no_", 0) != 0;  // an unknown option has a value, most do
    for (const CommonOption& option : CommonOptionsOf(command)) {
      if (name == Underscored(option.name)) takes_value = option.value[0] != '\0';
    }
    if (const Result<Field> field = ResolveOption(command, fields, name); field.ok()) takes_value = !IsBool(*field);
    i += takes_value ? 1 : 0;
  }
  return "";
}

std::vector<std::string> ChoicesInHelp(std::string_view help) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  for (size_t begin = 0; begin < help.size(); ++begin) {
    if (!is_word(help[begin]) || (begin > 0 && (is_word(help[begin - 1]) || help[begin - 1] == '|'))) continue;
    size_t end = begin;
    std::vector<std::string> words(1);
    for (; end < help.size() && (is_word(help[end]) || help[end] == '|'); ++end) {
      if (help[end] == '|') {
        words.emplace_back();
      } else {
        words.back() += help[end];
      }
    }
    const bool whole = std::none_of(words.begin(), words.end(), [](const std::string& w) { return w.empty(); });
    if (words.size() > 1 && whole) {
      while (words.back().size() > 1 && words.back().back() == '.') words.back().pop_back();  // the end of a sentence
      return words;
    }
    begin = end;
  }
  return {};
}

bool IsPathField(const Field& field) {
  if (!std::holds_alternative<std::string*>(field.value)) return false;
  const std::string name =
      Underscored(field.name.substr(field.name.rfind('.') == std::string::npos ? 0 : field.name.rfind('.') + 1));
  for (const std::string_view end :
       {"dir", "path", "file", "folder", "model", "tokenizer", "output", "svg", "resume", "prompts", "data", "vars"}) {
    if (name == end) return true;
    if (name.size() > end.size() + 1 &&
        name.compare(name.size() - end.size() - 1, std::string::npos, "_" + std::string(end)) == 0)
      return true;
  }
  return false;
}

}  // namespace r1::cli
