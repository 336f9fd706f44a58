// One view of all tasks of the built-in world, for the stages that mix them.
//   pick      three of five numbers with a given sum (world/pick.h)
//   code      a program in a tiny language from two examples, checked by running it (world/code.h)
//   general   add, same, translate, sort: one exact answer (world/general.h)
//   helpful   open requests without one right answer, judged by a reward model (world/open.h)
//   harmless  harmful requests, which are to be refused (world/open.h)
// Of helpful and harmless replies this layer knows the form only. The rules that say how good one is are in label/,
// which training code may not see.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "world/reply.h"

namespace r1 {

// kData: a problem of a file, which is no task of the world: nothing here makes or parses one.
enum class TaskKind { kPick, kCode, kGeneral, kHelpful, kHarmless, kData };
inline constexpr int kTaskKinds = 5;                          // of the world
const char* TaskName(TaskKind kind);                          // "pick" "code" "general" "helpful" "harmless" "data"
std::optional<TaskKind> TaskFromName(std::string_view name);  // of the world

struct TaskProblem {
  TaskKind kind = TaskKind::kPick;
  std::string prompt;    // with markers, ends with <|assistant|>; data: the question alone
  std::string solution;  // general, data: the exact answer; code: hidden test as "7 > 22"; else ""
  bool chinese = false;  // language of the prompt
  friend bool operator==(const TaskProblem&, const TaskProblem&) = default;
};

// Problem `index` of the endless training list of a seed; a pure function of the three, never held out. kPick is
// exactly TrainProblem(seed, index).
TaskProblem TrainTask(TaskKind kind, uint64_t seed, uint64_t index);
// The held-out list: fixed, independent of any seed; index is taken modulo HeldOutTaskCount(kind). kPick is
// HeldOutProblem(index), kGeneral the first problems of HeldOutGeneralProblem. Of any five code problems in a row
// starting at a multiple of five, three are English and two Chinese.
TaskProblem HeldOutTask(TaskKind kind, uint64_t index);
uint64_t HeldOutTaskCount(TaskKind kind);
// The problem of a prompt, with or without markers; its kind is recognised from the words. It equals the one that made
// the prompt. Error kBadInput says what is wrong.
Result<TaskProblem> ParseTaskPrompt(std::string_view prompt);

// Facts of a reply to a problem of any kind (world/reply.h says what they mean). What differs from pick:
//   code      correct: the last <answer>…</answer> is a program that passes both examples and the hidden test; vote
//             key: the program as m and c of m·x + c ("3 -1"), "" if it is none; the tries are programs
//   general   correct: ended, and FinalSummary is the exact answer; vote key: the summary
//   helpful, harmless   correct stays false, no vote: only form, language and style
// In the last three there are no tries, sums or verdicts.
ReplyFacts AnalyzeTaskReply(const TaskProblem& problem, std::string_view reply);

// What a reply says in the end: the words after the last </think>, without markers, one space between. "" if thinking
// was never closed.
std::string FinalSummary(std::string_view reply);
// The user's words of a prompt, without markers, one space between: "pick 14 8 20 3 5 sum 42". And back.
std::string UserContent(std::string_view prompt);
std::string PromptOfContent(std::string_view content);

struct TaskShare {
  TaskKind kind = TaskKind::kPick;
  double share = 0;
};
// "pick", "pick,code" (equal shares) or "pick:0.75,code:0.25": shares are positive and normalised to sum 1. Error
// kUsage names what is wrong. with_data: "data" is a kind too.
Result<std::vector<TaskShare>> ParseTaskMix(std::string_view text, bool with_data = false);
// The task of problem `index` of a mix: interleaved evenly, so that any n in a row hold the shares to within two
// problems.
TaskKind TaskOfIndex(const std::vector<TaskShare>& mix, uint64_t index);

}  // namespace r1
