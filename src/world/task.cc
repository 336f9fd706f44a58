#include "world/task.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/quote.h"
#include "world/code.h"
#include "world/general.h"
#include "world/open.h"
#include "world/pick.h"
#include "world/reply_parts.h"
#include "world/words.h"
#include "world/write.h"

namespace r1 {
namespace {

constexpr uint64_t kHeldOutGeneral = 10000;
constexpr std::array<const char*, kTaskKinds> kNames = {"pick", "code", "general", "helpful", "harmless"};
constexpr const char* kDataName = "data";

// Problems of the kinds of one seed come from apart counters of one stream; pick's begin at 0.
Rng TrainRng(TaskKind kind, uint64_t seed, uint64_t index) {
  return Rng(seed, Stream::kProblems, (static_cast<uint64_t>(kind) << 56) | index);
}

bool ChinesePrompt(std::string_view prompt) {
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) return LanguageOf(item.text) == WordLanguage::kChinese;
  }
  return false;
}

TaskProblem OfPick(const PickProblem& problem) { return {TaskKind::kPick, PromptText(problem), "", problem.chinese}; }

TaskProblem OfGeneral(GeneralProblem problem) {
  const bool chinese = ChinesePrompt(problem.prompt);
  return {TaskKind::kGeneral, std::move(problem.prompt), UserContent(problem.answer), chinese};
}

TaskProblem OfCode(const CodeProblem& problem) {
  const CodeExample test = HiddenTest(problem);
  return {TaskKind::kCode, PromptText(problem), std::to_string(test.input) + " > " + std::to_string(test.output),
          problem.chinese};
}

TaskProblem OfRequest(const OpenRequest& request) {
  return {request.harm ? TaskKind::kHarmless : TaskKind::kHelpful, PromptText(request), "", request.chinese};
}

std::string Joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

}  // namespace

const char* TaskName(TaskKind kind) { return kind == TaskKind::kData ? kDataName : kNames[static_cast<size_t>(kind)]; }

std::optional<TaskKind> TaskFromName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<TaskKind>(i);
  }
  return {};
}

TaskProblem TrainTask(TaskKind kind, uint64_t seed, uint64_t index) {
  Rng rng = TrainRng(kind, seed, index);
  switch (kind) {
    case TaskKind::kPick:
      return OfPick(TrainProblem(seed, index));
    case TaskKind::kGeneral:
      return OfGeneral(DrawGeneralProblem(rng, false));
    case TaskKind::kCode:
      return OfCode(DrawCodeProblem(rng));
    case TaskKind::kHelpful:
      return OfRequest(DrawOpenRequest(rng));
    case TaskKind::kHarmless:
    case TaskKind::kData:
      break;
  }
  return OfRequest(DrawHarmfulRequest(rng));
}

TaskProblem HeldOutTask(TaskKind kind, uint64_t index) {
  switch (kind) {
    case TaskKind::kPick:
      return OfPick(HeldOutProblem(index));
    case TaskKind::kGeneral:
      return OfGeneral(HeldOutGeneralProblem(index % kHeldOutGeneral));
    case TaskKind::kCode:
      return OfCode(HeldOutCodeProblem(index));
    case TaskKind::kHelpful:
      return OfRequest(HeldOutOpenRequest(index));
    case TaskKind::kHarmless:
    case TaskKind::kData:
      break;
  }
  return OfRequest(HeldOutHarmfulRequest(index));
}

uint64_t HeldOutTaskCount(TaskKind kind) {
  switch (kind) {
    case TaskKind::kPick:
      return HeldOutCount();
    case TaskKind::kGeneral:
      return kHeldOutGeneral;
    case TaskKind::kCode:
      return HeldOutCodeCount();
    case TaskKind::kHelpful:
      return HeldOutOpenCount();
    case TaskKind::kHarmless:
    case TaskKind::kData:
      break;
  }
  return HeldOutHarmfulCount();
}

Result<TaskProblem> ParseTaskPrompt(std::string_view prompt) {
  std::optional<Word> first;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (item.is_marker) continue;
    first = WordNamed(item.text);
    break;
  }
  if (first == Word::kPick) {
    R1_ASSIGN(const PickProblem problem, ParsePickPrompt(prompt));
    return OfPick(problem);
  }
  if (first == Word::kAdd || first == Word::kSame || first == Word::kTranslate || first == Word::kSort) {
    R1_ASSIGN(GeneralProblem problem, ParseGeneralPrompt(prompt));
    return OfGeneral(std::move(problem));
  }
  if (first == Word::kCode) {
    R1_ASSIGN(const CodeProblem problem, ParseCodePrompt(prompt));
    return OfCode(problem);
  }
  if (first && (IsHarmVerb(*first) || first == Word::kWrite || first == Word::kYou || first == Word::kHelp)) {
    R1_ASSIGN(const OpenRequest request, ParseOpenPrompt(prompt));
    return OfRequest(request);
  }
  return Error{ErrorCode::kBadInput, "no task of the world begins like this: " + Quote(prompt)};
}

ReplyFacts AnalyzeTaskReply(const TaskProblem& problem, std::string_view reply) {
  if (problem.kind == TaskKind::kPick) {
    if (const Result<PickProblem> pick = ParsePickPrompt(problem.prompt); pick.ok()) return AnalyzeReply(*pick, reply);
  }
  if (problem.kind == TaskKind::kCode) {
    if (const Result<CodeProblem> code = ParseCodePrompt(problem.prompt); code.ok()) {
      return AnalyzeCodeReply(*code, reply);
    }
  }
  ReplyFacts facts;
  AnalyzeForm(
      SplitReply(reply), problem.chinese, [](std::string_view) { return true; }, &facts);
  if (problem.kind == TaskKind::kGeneral) {
    facts.vote_key = FinalSummary(reply);
    facts.correct = facts.ended && facts.vote_key == problem.solution;
  }
  return facts;
}

std::string FinalSummary(std::string_view reply) {
  std::vector<std::string_view> words;
  bool thinking = false;
  for (const ReplyItem& item : SplitReply(reply)) {
    if (IsMarker(item, kThinkMarker) || IsMarker(item, kEndThinkMarker)) {
      thinking = item.text == kThinkMarker;
      words.clear();
    } else if (!thinking && !item.is_marker) {
      words.push_back(item.text);
    }
  }
  return Joined(words);
}

std::string UserContent(std::string_view prompt) {
  std::vector<std::string_view> words;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) words.push_back(item.text);
  }
  return Joined(words);
}

std::string PromptOfContent(std::string_view content) {
  Writer words;
  for (const ReplyItem& item : SplitReply(content)) {
    if (!item.is_marker) words.Put(item.text);
  }
  return UserPrompt(words.Take());
}

Result<std::vector<TaskShare>> ParseTaskMix(std::string_view text, bool with_data) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::kUsage,
                 "task mix " + Quote(text) + ": " + what + "; write for example \"pick\" or \"pick:0.75,code:0.25\""};
  };
  std::vector<TaskShare> mix;
  double total = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    begin = end + 1;
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    const size_t colon = std::min(part.find(':'), part.size());
    const bool data = with_data && part.substr(0, colon) == kDataName;
    const std::optional<TaskKind> kind = data ? TaskKind::kData : TaskFromName(part.substr(0, colon));
    if (!kind)
      return bad("no task " + Quote(part.substr(0, colon)) + ": pick, code, general, helpful, harmless" +
                 (with_data ? ", data" : ""));
    const auto same = [&](const TaskShare& other) { return other.kind == *kind; };
    if (std::any_of(mix.begin(), mix.end(), same)) return bad(std::string(TaskName(*kind)) + " stands in it twice");
    double share = 1;
    if (colon < part.size()) {
      const std::string_view number = part.substr(colon + 1);
      const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), share);
      if (error != std::errc() || stop != number.data() + number.size() || !(share > 0 && share <= 1e6)) {
        return bad("the share " + Quote(number) + " is not a number above 0 (and at most 1e6)");
      }
    }
    mix.push_back({*kind, share});
    total += share;
  }
  for (TaskShare& entry : mix) entry.share /= total;
  return mix;
}

TaskKind TaskOfIndex(const std::vector<TaskShare>& mix, uint64_t index) {
  // Multiples of the golden ratio modulo 1 are evenly spread over any stretch (Weyl; Knuth 6.4).
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  double u = static_cast<double>((index * kGolden) >> 11) * 0x1p-53;
  for (const TaskShare& entry : mix) {
    if (u < entry.share) return entry.kind;
    u -= entry.share;
  }
  return mix.empty() ? TaskKind::kPick : mix.back().kind;
}

}  // namespace r1
