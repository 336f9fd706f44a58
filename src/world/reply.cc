#include "world/reply.h"

#include <algorithm>
#include <vector>

#include "world/reply_parts.h"
#include "world/words.h"

namespace r1 {
namespace {

// The three numbers of an answer; empty unless it holds exactly three numbers and nothing else.
std::vector<int> ThreeNumbers(const ReplyWords& words) {
  if (words.size() != 3) return {};
  std::vector<int> numbers;
  for (const std::string_view word : words) {
    numbers.push_back(NumberOf(word));
    if (numbers.back() < 0) return {};
  }
  return numbers;
}

// Three distinct numbers of the list?
bool AreOfList(const PickProblem& problem, const std::vector<int>& numbers) {
  return numbers.size() == 3 && std::all_of(numbers.begin(), numbers.end(), [&](int n) {
           const auto& nums = problem.nums;
           return std::find(nums.begin(), nums.end(), n) != nums.end() &&
                  std::count(numbers.begin(), numbers.end(), n) == 1;
         });
}

void CountTries(const PickProblem& problem, const ReplyWords& thinking, ReplyFacts* facts) {
  for (size_t i = 0; i < thinking.size(); ++i) {
    if (!IsTryWord(thinking[i])) continue;
    ++facts->tries;
    const WrittenTry found = ReadTry(thinking, i + 1);
    if (facts->tries == 1 && found.c >= 0) {
      const std::vector<int> numbers = {found.a, found.b, found.c};
      facts->first_try_right = AreOfList(problem, numbers) && found.a + found.b + found.c == problem.target;
    }
    if (found.s >= 0) {
      ++facts->sums;
      facts->sums_right += found.a + found.b == found.s;
    }
    if (found.words != kPickTryWords) continue;
    ++facts->sums;
    facts->sums_right += found.s + found.c == found.t;
    if (i + 10 >= thinking.size()) continue;
    const int verdict = VerdictOf(thinking[i + 10]);
    if (verdict == kNoVerdict) continue;
    const int truth = found.t < problem.target ? -1 : found.t > problem.target ? 1 : 0;
    ++facts->verdicts;
    facts->verdicts_right += verdict == truth;
    facts->false_yes += verdict == 0 && truth != 0;
  }
}

}  // namespace

const char* ReplyStyleName(ReplyStyle style) {
  switch (style) {
    case ReplyStyle::kBare:
      return "bare";
    case ReplyStyle::kDirect:
      return "direct";
    case ReplyStyle::kSingleTry:
      return "single_try";
    case ReplyStyle::kSearch:
      return "search";
    case ReplyStyle::kOther:
      break;
  }
  return "other";
}

ReplyFacts AnalyzeReply(const PickProblem& problem, std::string_view reply) {
  ReplyFacts facts;
  const ReplyItems items = SplitReply(reply);
  AnalyzeForm(
      items, problem.chinese, [](std::string_view word) { return NumberOf(word) >= 0; }, &facts);
  std::vector<int> answer = ThreeNumbers(LastAnswer(items));
  if (!answer.empty()) {
    facts.correct = AreOfList(problem, answer) && answer[0] + answer[1] + answer[2] == problem.target;
    std::sort(answer.begin(), answer.end());
    facts.vote_key = std::to_string(answer[0]) + " " + std::to_string(answer[1]) + " " + std::to_string(answer[2]);
  }
  CountTries(problem, ThinkingOf(items), &facts);
  return facts;
}

}  // namespace r1
