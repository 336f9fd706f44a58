#include "distill/reply_text.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool HasMarker(std::string_view text, bool answer_allowed) {
  for (const std::string_view marker : kMarkers) {
    if (answer_allowed && (marker == kAnswerMarker || marker == kEndAnswerMarker)) continue;
    if (text.find(marker) != std::string_view::npos) return true;
  }
  return false;
}

// What stands in the braces that open right before `begin`, as far as they are closed again.
std::string_view InBraces(std::string_view text, size_t begin) {
  int depth = 1;
  for (size_t i = begin; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return text.substr(begin, i - begin);
  }
  return {};
}

}  // namespace

ReplyText SplitReplyText(std::string_view reply) {
  ReplyText result;
  std::string_view rest = Trimmed(reply);
  if (rest.ends_with(kEndMarker)) {
    result.ended = true;
    rest = Trimmed(rest.substr(0, rest.size() - kEndMarker.size()));
  }
  bool closed = true;
  if (rest.starts_with(kThinkMarker)) {
    result.has_thinking = true;
    rest.remove_prefix(kThinkMarker.size());
    const size_t end = rest.find(kEndThinkMarker);
    closed = end != std::string_view::npos;
    result.thinking = Trimmed(rest.substr(0, end));
    rest = closed ? rest.substr(end + kEndThinkMarker.size()) : std::string_view();
  }
  result.content = Trimmed(rest);
  result.regular = result.ended && closed && !result.content.empty() &&
                   !(result.has_thinking && result.thinking.empty()) && !HasMarker(result.thinking, false) &&
                   !HasMarker(result.content, true);
  return result;
}

std::string JoinReplyText(std::string_view thinking, std::string_view content) {
  std::string text;
  const auto add = [&](std::string_view part) { text.append(" ").append(part); };
  if (!thinking.empty()) {
    add(kThinkMarker);
    add(thinking);
    add(kEndThinkMarker);
  }
  add(content);
  return text.append(kEndMarker);
}

std::string FinalAnswer(std::string_view content) {
  const size_t end = content.rfind(kEndAnswerMarker);
  if (end != std::string_view::npos) {
    const size_t begin = content.substr(0, end).rfind(kAnswerMarker);
    if (begin != std::string_view::npos) {
      const size_t from = begin + kAnswerMarker.size();
      return std::string(Trimmed(content.substr(from, end - from)));
    }
  }
  constexpr std::string_view kBoxed = "\\boxed{";
  if (const size_t at = content.rfind(kBoxed); at != std::string_view::npos)
    return std::string(Trimmed(InBraces(content, at + kBoxed.size())));
  return std::string(Trimmed(content));
}

std::string MessagesLine(std::string_view system, std::string_view question, const ReplyText& reply,
                         std::string_view task, std::string_view source, int64_t tokens) {
  using Json = nlohmann::ordered_json;
  Json assistant = {{"role", "assistant"}};
  if (reply.has_thinking) assistant["reasoning_content"] = reply.thinking;
  assistant["content"] = reply.content;
  Json line;
  line["messages"] = Json::array();
  if (!system.empty()) line["messages"].push_back({{"role", "system"}, {"content", system}});
  line["messages"].push_back({{"role", "user"}, {"content", question}});
  line["messages"].push_back(std::move(assistant));
  line["metadata"] = {{"task", task}, {"source", source}, {"tokens", tokens}};
  return ToLineText(line);
}

}  // namespace r1
