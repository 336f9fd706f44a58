#include "data/traces.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "world/words.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;
constexpr size_t kMaxLineBytes = size_t{64} << 20;
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

Result<Trace> ParseLine(std::string_view text, int64_t line, std::string_view source) {
  const std::string where = std::string(source) + " line " + std::to_string(line);
  R1_ASSIGN(const Json object, ParseJson(text, where));
  if (!object.is_object()) return Bad(where, "a JSON object is wanted, like {\"messages\": [...]}");
  Trace trace;
  trace.line = line;
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
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (jsonl.starts_with(kByteOrderMark)) jsonl.remove_prefix(kByteOrderMark.size());
  std::vector<Trace> traces;
  int64_t line = 0;
  for (size_t begin = 0; begin < jsonl.size();) {
    const size_t end = std::min(jsonl.find('\n', begin), jsonl.size());
    const std::string_view text = jsonl.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (text.find_first_not_of(kSpace) == std::string_view::npos) continue;
    if (text.size() > kMaxLineBytes)
      return Bad(std::string(where) + " line " + std::to_string(line), "longer than 64 MiB");
    R1_ASSIGN(Trace trace, ParseLine(text, line, where));
    traces.push_back(std::move(trace));
  }
  if (traces.empty()) return Bad(std::string(where), "no traces in it");
  return traces;
}

Result<std::vector<Trace>> LoadTraces(const std::string& path) {
  if (path.ends_with(".gz")) return Bad(Quote(path), "compressed files are not read; unpack it with gunzip first");
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxFileBytes));
  return ParseTraces(text, path);
}

}  // namespace r1
