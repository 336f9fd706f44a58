#include "data/preference_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "data/chat_messages.h"
#include "data/jsonl.h"

namespace r1 {

namespace {

using Json = nlohmann::json;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// A conversation up to its last reply, read at the end.
Result<ScoredText> Whole(const ModelText& text, const std::vector<ChatTurn>& messages, const std::string& where) {
  if (messages.empty() || messages.back().role != "assistant")
    return Bad(where, "does not end with a message of the assistant");
  R1_ASSIGN(std::vector<TokenDocument> documents, text.Conversation(messages, where));
  ScoredText scored;
  scored.tokens = std::move(documents.back().tokens);
  scored.ends.push_back(static_cast<int32_t>(scored.tokens.size()));
  return scored;
}

// What two conversations begin with, at most all but the last message, as a text that names the prompt.
std::string CommonPrompt(const std::vector<ChatTurn>& a, const std::vector<ChatTurn>& b) {
  std::string prompt;
  for (size_t i = 0; i + 1 < std::min(a.size(), b.size()); ++i) {
    if (a[i].role != b[i].role || a[i].content != b[i].content) break;
    prompt += a[i].role + ": " + a[i].content + "\n";
  }
  return prompt;
}

Status ReadPair(const ModelText& text, const Json& object, const std::string& where, RewardExample& example) {
  constexpr const char* kKeys[] = {"chosen", "rejected"};
  const auto value = [&](const char* key) { return object.contains(key) ? object[key] : Json(); };
  const Json prompt = value("prompt"), chosen = value("chosen");
  const bool dialogues = prompt.is_null() && chosen.is_string() && IsDialogue(chosen.get<std::string>());
  const bool messages = prompt.is_array() || (prompt.is_null() && chosen.is_array());
  std::vector<ChatTurn> sides[2];
  if (!dialogues && !messages) {
    R1_ASSIGN(example.prompt, StringAt(object, "prompt", where));
    for (size_t i = 0; i < 2; ++i) {
      R1_ASSIGN(const std::string reply, StringAt(object, kKeys[i], where));
      sides[i] = {{"user", example.prompt}, {"assistant", reply}};
    }
  } else {
    std::vector<ChatTurn> begin;
    if (prompt.is_array()) {
      R1_ASSIGN(begin, ReadMessages(prompt, "prompt", where + ": 'prompt'"));
    }
    for (size_t i = 0; i < 2; ++i) {
      const std::string at = where + ": '" + kKeys[i] + "'";
      std::vector<ChatTurn> more;
      if (dialogues) {
        R1_ASSIGN(const std::string dialogue, StringAt(object, kKeys[i], where));
        R1_ASSIGN(more, ReadDialogue(dialogue, at));
      } else {
        R1_ASSIGN(more, ReadMessages(value(kKeys[i]), kKeys[i], at));
      }
      sides[i] = begin;
      sides[i].insert(sides[i].end(), more.begin(), more.end());
    }
    example.prompt = CommonPrompt(sides[0], sides[1]);
  }
  for (size_t i = 0; i < 2; ++i) {
    R1_ASSIGN(ScoredText scored, Whole(text, sides[i], where + ": '" + kKeys[i] + "'"));
    example.texts.push_back(std::move(scored));
  }
  return {};
}

Status ReadSteps(const ModelText& model_text, const Json& object, const std::string& where, RewardExample& example) {
  for (const char* key : {"completions", "labels"}) {
    if (!object.contains(key) || !object[key].is_array())
      return Bad(where, std::string("'") + key + "' is missing or not an array");
  }
  const Json &steps = object["completions"], &labels = object["labels"];
  if (steps.empty()) return Bad(where, "'completions' is empty");
  if (steps.size() != labels.size())
    return Bad(where, std::to_string(steps.size()) + " completions, but " + std::to_string(labels.size()) + " labels");
  ScoredText text;
  R1_ASSIGN(EncodedPrompt prompt, model_text.Prompt(UserMessages("", example.prompt), where));
  text.tokens = std::move(prompt.tokens);
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string at = where + ": step " + std::to_string(i + 1);
    if (!steps[i].is_string()) return Bad(at, "the completion is not a string");
    if (!labels[i].is_boolean()) return Bad(at, "the label is neither true nor false");
    R1_ASSIGN(const std::vector<int32_t> ids, model_text.Piece(steps[i].get<std::string>(), at));
    if (ids.empty()) return Bad(at, "the completion is empty");
    text.tokens.insert(text.tokens.end(), ids.begin(), ids.end());
    text.ends.push_back(static_cast<int32_t>(text.tokens.size()));
    example.labels.push_back(labels[i].get<bool>());
  }
  example.texts.push_back(std::move(text));
  return {};
}

}  // namespace

const char* RewardKindName(RewardKind kind) {
  return kind == RewardKind::kHelpful ? "helpful" : kind == RewardKind::kSafety ? "safety" : "process";
}

std::optional<RewardKind> RewardKindFromName(std::string_view name) {
  for (const RewardKind kind : {RewardKind::kHelpful, RewardKind::kSafety, RewardKind::kProcess}) {
    if (name == RewardKindName(kind)) return kind;
  }
  return std::nullopt;
}

Result<std::vector<RewardExample>> ParseRewardData(std::string_view jsonl, std::string_view where, RewardKind kind,
                                                   const ModelText& text) {
  std::vector<RewardExample> examples;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t, const std::string& at) -> Status {
    RewardExample example;
    if (kind == RewardKind::kHelpful) {
      R1_TRY(ReadPair(text, object, at, example));
      examples.push_back(std::move(example));
      return {};
    }
    R1_ASSIGN(example.prompt, StringAt(object, "prompt", at));
    if (kind == RewardKind::kSafety) {
      R1_ASSIGN(const std::string reply, StringAt(object, "completion", at));
      R1_ASSIGN(ScoredText scored,
                Whole(text, {{"user", example.prompt}, {"assistant", reply}}, at + ": 'completion'"));
      example.texts.push_back(std::move(scored));
      if (!object.contains("label") || !object["label"].is_boolean())
        return Bad(at, "'label' is missing or neither true nor false");
      example.labels.push_back(object["label"].get<bool>());
    } else {
      R1_TRY(ReadSteps(text, object, at, example));
    }
    examples.push_back(std::move(example));
    return {};
  }));
  if (examples.empty()) return Bad(std::string(where), "no examples in it");
  return examples;
}

Result<std::vector<RewardExample>> LoadRewardData(const std::string& path, RewardKind kind, const ModelText& text) {
  R1_ASSIGN(const std::string jsonl, ReadJsonl(path));
  return ParseRewardData(jsonl, path, kind, text);
}

bool IsHeldOutPrompt(std::string_view prompt, double share) {
  const uint64_t bits = std::stoull(Sha256(prompt).substr(0, 13), nullptr, 16);  // 52 of them
  return static_cast<double>(bits) * 0x1p-52 < share;
}

}  // namespace r1
