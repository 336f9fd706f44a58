#include "data/traces.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/quote.h"
#include "data/jsonl.h"
#include "world/words.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpace = " \t\r\n";

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kSpace) - begin + 1));
}

// The text under the first of the names that is there and not null; "" if none is.
Result<std::string> TextOf(const Json& object, std::initializer_list<const char*> names, const std::string& where) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) continue;
    if (found->is_string()) return found->get<std::string>();
    return Bad(where, std::string("'") + name + "' is a " + found->type_name() + ", not a string");
  }
  return std::string();
}

Result<std::string> SolutionOf(const Json& object, const std::string& where) {
  for (const Json* place : {&object, object.contains("metadata") ? &object["metadata"] : nullptr}) {
    if (place == nullptr || !place->is_object()) continue;
    for (const char* name : {"solution", "answer", "ground_truth"}) {
      const auto found = place->find(name);
      if (found == place->end() || found->is_null()) continue;
      if (found->is_string()) return found->get<std::string>();
      if (found->is_number() || found->is_boolean()) return ToLineText(*found);
      return Bad(where, std::string("'") + name + "' is a " + found->type_name() + ", not a string or a number");
    }
  }
  return std::string();
}

Status ReadMessages(const Json& messages, const std::string& where, Trace* trace) {
  if (!messages.is_array()) return Bad(where, "'messages' is not a list");
  std::string expected = "user";
  for (const Json& message : messages) {
    if (!message.is_object()) return Bad(where, "a message is not an object");
    R1_ASSIGN(const std::string role, TextOf(message, {"role"}, where));
    R1_ASSIGN(std::string content, TextOf(message, {"content"}, where));
    if (role == "system" && expected == "user" && trace->question.empty()) {
      trace->question = std::move(content);
      continue;
    }
    if (role != expected) {
      return Bad(where, "a message of role " + Quote(role) +
                            " stands where none can be: only [system,] user, assistant are read, one turn");
    }
    if (role == "user") {
      trace->question = trace->question.empty() ? std::move(content) : trace->question + "\n\n" + content;
      expected = "assistant";
      continue;
    }
    trace->content = std::move(content);
    R1_ASSIGN(trace->thinking, TextOf(message, {"reasoning_content", "reasoning"}, where));
    expected = "no further message";
  }
  if (expected != "no further message") return Bad(where, "there is no message of role '" + expected + "'");
  return {};
}

Result<Trace> ReadTrace(const Json& object, const std::string& where) {
  Trace trace;
  if (object.contains("messages")) {
    R1_TRY(ReadMessages(object["messages"], where, &trace));
  } else {
    R1_ASSIGN(trace.question, TextOf(object, {"prompt", "question", "problem"}, where));
    R1_ASSIGN(trace.content, TextOf(object, {"completion", "response"}, where));
  }
  R1_ASSIGN(trace.solution, SolutionOf(object, where));
  if (trace.question.empty()) return Bad(where, "there is no question: 'messages' with a user's, or 'prompt'");
  std::string thinking, content;
  if (trace.thinking.empty() && SplitThinkTags(trace.content, &thinking, &content)) {
    trace.thinking = std::move(thinking);
    trace.content = std::move(content);
  }
  trace.thinking = Trimmed(trace.thinking);
  trace.content = Trimmed(trace.content);
  if (trace.content.empty()) return Bad(where, "there is no answer: an assistant's 'content', or 'completion'");
  return trace;
}

}  // namespace

bool SplitThinkTags(std::string_view text, std::string* thinking, std::string* content) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos || !text.substr(begin).starts_with(kThinkMarker)) return false;
  text.remove_prefix(begin + kThinkMarker.size());
  const size_t end = text.find(kEndThinkMarker);
  if (end == std::string_view::npos) return false;
  *thinking = Trimmed(text.substr(0, end));
  *content = Trimmed(text.substr(end + kEndThinkMarker.size()));
  return true;
}

Result<std::vector<Trace>> ParseTraces(std::string_view jsonl, std::string_view where) {
  std::vector<Trace> traces;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t line, const std::string& at) -> Status {
    R1_ASSIGN(Trace trace, ReadTrace(object, at));
    trace.line = line;
    traces.push_back(std::move(trace));
    return {};
  }));
  if (traces.empty()) return Bad(std::string(where), "no traces in it");
  return traces;
}

Result<std::vector<Trace>> LoadTraces(const std::string& path) {
  R1_ASSIGN(const std::string text, ReadJsonl(path));
  return ParseTraces(text, path);
}

}  // namespace r1
