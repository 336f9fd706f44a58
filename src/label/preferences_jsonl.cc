// The files of label/preferences.h: text to and from JSONL.
#include <cmath>
#include <functional>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "label/preferences.h"

namespace r1::label {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxLineBytes = size_t{1} << 20;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// Calls `read` for the object of each line that is not empty; `where` in its second argument names file and line.
Status ForEachObject(std::string_view jsonl, std::string_view where,
                     const std::function<Status(const Json&, const std::string&)>& read) {
  int64_t line = 0;
  bool any = false;
  for (size_t begin = 0; begin < jsonl.size();) {
    const size_t end = std::min(jsonl.find('\n', begin), jsonl.size());
    const std::string_view text = jsonl.substr(begin, end - begin);
    begin = end + 1;
    const std::string at = std::string(where) + " line " + std::to_string(++line);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (text.size() > kMaxLineBytes) return Bad(at, "longer than 1 MiB");
    R1_ASSIGN(const Json object, ParseJson(text, at, 8));
    if (!object.is_object()) return Bad(at, "a JSON object is wanted");
    R1_TRY(read(object, at));
    any = true;
  }
  if (!any) return Bad(std::string(where), "there is no example in it");
  return {};
}

Result<std::string> Text(const Json& object, const char* name, const std::string& where) {
  const auto entry = object.find(name);
  if (entry == object.end()) return Bad(where, std::string("there is no '") + name + "'");
  if (!entry->is_string())
    return Bad(where, std::string("'") + name + "' is a " + entry->type_name() + ", not a string");
  std::string text = entry->get<std::string>();
  if (text.empty()) return Bad(where, std::string("'") + name + "' is empty");
  return text;
}

}  // namespace

std::string PreferencesText(const std::vector<PreferencePair>& pairs) {
  std::string text;
  for (const PreferencePair& pair : pairs) {
    nlohmann::ordered_json object;
    object["prompt"] = pair.prompt;
    object["chosen"] = pair.chosen;
    object["rejected"] = pair.rejected;
    object["metadata"]["margin"] = pair.margin;
    (text += ToLineText(object)) += '\n';
  }
  return text;
}

std::string SafetyText(const std::vector<SafetyExample>& examples) {
  std::string text;
  for (const SafetyExample& example : examples) {
    nlohmann::ordered_json object;
    object["prompt"] = example.prompt;
    object["completion"] = example.completion;
    object["label"] = example.safe;
    (text += ToLineText(object)) += '\n';
  }
  return text;
}

Result<std::vector<PreferencePair>> ParsePreferences(std::string_view jsonl, std::string_view where) {
  std::vector<PreferencePair> pairs;
  R1_TRY(ForEachObject(jsonl, where, [&](const Json& object, const std::string& at) -> Status {
    PreferencePair pair;
    R1_ASSIGN(pair.prompt, Text(object, "prompt", at));
    R1_ASSIGN(pair.chosen, Text(object, "chosen", at));
    R1_ASSIGN(pair.rejected, Text(object, "rejected", at));
    if (pair.chosen == pair.rejected) return Bad(at, "'chosen' and 'rejected' are the same");
    if (const auto metadata = object.find("metadata"); metadata != object.end()) {
      if (!metadata->is_object()) return Bad(at, "'metadata' is not an object");
      if (const auto margin = metadata->find("margin"); margin != metadata->end()) {
        if (!margin->is_number() || !(margin->get<double>() >= 0))
          return Bad(at, "the margin is not a number from 0 on");
        pair.margin = margin->get<double>();
      }
    }
    pairs.push_back(std::move(pair));
    return {};
  }));
  return pairs;
}

Result<std::vector<SafetyExample>> ParseSafety(std::string_view jsonl, std::string_view where) {
  std::vector<SafetyExample> examples;
  R1_TRY(ForEachObject(jsonl, where, [&](const Json& object, const std::string& at) -> Status {
    SafetyExample example;
    R1_ASSIGN(example.prompt, Text(object, "prompt", at));
    R1_ASSIGN(example.completion, Text(object, "completion", at));
    const auto label = object.find("label");
    if (label == object.end() || !label->is_boolean()) return Bad(at, "'label' must be true (safe) or false");
    example.safe = label->get<bool>();
    examples.push_back(std::move(example));
    return {};
  }));
  return examples;
}

}  // namespace r1::label
