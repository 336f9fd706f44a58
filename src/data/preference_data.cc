#include "data/preference_data.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "data/chat.h"
#include "data/jsonl.h"

namespace r1 {

namespace {

using Json = nlohmann::json;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// Prompt and whole reply, read at the end.
Result<ScoredText> Whole(const Tokenizer& tokenizer, const std::string& prompt, const Json& object, const char* key,
                         const std::string& where) {
  R1_ASSIGN(const std::string reply, StringAt(object, key, where));
  ScoredText text;
  R1_ASSIGN(text.tokens, ChatPrompt(tokenizer, prompt, where));
  R1_ASSIGN(const std::vector<int32_t> tail, ChatReply(tokenizer, std::nullopt, reply, where + ": '" + key + "'"));
  text.tokens.insert(text.tokens.end(), tail.begin(), tail.end());
  text.ends.push_back(static_cast<int32_t>(text.tokens.size()));
  return text;
}

Status ReadSteps(const Tokenizer& tokenizer, const Json& object, const std::string& where, RewardExample& example) {
  for (const char* key : {"completions", "labels"}) {
    if (!object.contains(key) || !object[key].is_array())
      return Bad(where, std::string("'") + key + "' is missing or not an array");
  }
  const Json &steps = object["completions"], &labels = object["labels"];
  if (steps.empty()) return Bad(where, "'completions' is empty");
  if (steps.size() != labels.size())
    return Bad(where, std::to_string(steps.size()) + " completions, but " + std::to_string(labels.size()) + " labels");
  ScoredText text;
  R1_ASSIGN(text.tokens, ChatPrompt(tokenizer, example.prompt, where));
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string at = where + ": step " + std::to_string(i + 1);
    if (!steps[i].is_string()) return Bad(at, "the completion is not a string");
    if (!labels[i].is_boolean()) return Bad(at, "the label is neither true nor false");
    R1_ASSIGN(const std::vector<int32_t> ids, ReplyPiece(tokenizer, steps[i].get<std::string>(), at));
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
                                                   const Tokenizer& tokenizer) {
  std::vector<RewardExample> examples;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t, const std::string& at) -> Status {
    RewardExample example;
    R1_ASSIGN(example.prompt, StringAt(object, "prompt", at));
    if (kind == RewardKind::kHelpful) {
      for (const char* key : {"chosen", "rejected"}) {
        R1_ASSIGN(ScoredText text, Whole(tokenizer, example.prompt, object, key, at));
        example.texts.push_back(std::move(text));
      }
    } else if (kind == RewardKind::kSafety) {
      R1_ASSIGN(ScoredText text, Whole(tokenizer, example.prompt, object, "completion", at));
      example.texts.push_back(std::move(text));
      if (!object.contains("label") || !object["label"].is_boolean())
        return Bad(at, "'label' is missing or neither true nor false");
      example.labels.push_back(object["label"].get<bool>());
    } else {
      R1_TRY(ReadSteps(tokenizer, object, at, example));
    }
    examples.push_back(std::move(example));
    return {};
  }));
  if (examples.empty()) return Bad(std::string(where), "no examples in it");
  return examples;
}

Result<std::vector<RewardExample>> LoadRewardData(const std::string& path, RewardKind kind,
                                                  const Tokenizer& tokenizer) {
  R1_ASSIGN(const std::string text, ReadJsonl(path));
  return ParseRewardData(text, path, kind, tokenizer);
}

bool IsHeldOutPrompt(std::string_view prompt, double share) {
  const uint64_t bits = std::stoull(Sha256(prompt).substr(0, 13), nullptr, 16);  // 52 of them
  return static_cast<double>(bits) * 0x1p-52 < share;
}

}  // namespace r1
