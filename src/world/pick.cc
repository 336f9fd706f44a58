#include "world/pick.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "world/draw.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kHeldOutSeed = 20250122;  // orders the held-out list; part of every published result

std::vector<PickProblem> ListHeldOut() {
  std::vector<PickProblem> list;
  std::array<int, 5> n{};
  for (n[0] = 1; n[0] <= kPickMaxNumber; ++n[0]) {
    for (n[1] = n[0] + 1; n[1] <= kPickMaxNumber; ++n[1]) {
      for (n[2] = n[1] + 1; n[2] <= kPickMaxNumber; ++n[2]) {
        for (n[3] = n[2] + 1; n[3] <= kPickMaxNumber; ++n[3]) {
          for (n[4] = n[3] + 1; n[4] <= kPickMaxNumber; ++n[4]) {
            PickProblem problem{n, 0, false};
            for (int triple = 0; triple < static_cast<int>(kTriples.size()); ++triple) {
              problem.target = TripleSum(problem, triple);
              if (SolvingTriple(problem) == triple && IsHeldOut(problem)) list.push_back(problem);
            }
          }
        }
      }
    }
  }
  Rng rng(kHeldOutSeed, Stream::kEval);
  Shuffle(rng, list);
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].chinese = i % 5 == 1 || i % 5 == 3;
    Shuffle(rng, list[i].nums);
  }
  return list;
}

const std::vector<PickProblem>& HeldOutList() {
  static const std::vector<PickProblem> list = ListHeldOut();
  return list;
}

}  // namespace

int TripleSum(const PickProblem& problem, int triple) {
  int sum = 0;
  for (const int at : kTriples[static_cast<size_t>(triple)]) sum += problem.nums[static_cast<size_t>(at)];
  return sum;
}

int SolvingTriple(const PickProblem& problem) {
  int found = -1;
  for (int triple = 0; triple < static_cast<int>(kTriples.size()); ++triple) {
    if (TripleSum(problem, triple) != problem.target) continue;
    if (found >= 0) return -1;
    found = triple;
  }
  return found;
}

uint64_t PickHash(const PickProblem& problem) {
  std::array<int, 5> sorted = problem.nums;
  std::sort(sorted.begin(), sorted.end());
  std::string bytes;
  for (const int value : sorted) bytes += static_cast<char>(value);
  bytes += static_cast<char>(problem.target);
  return StableHash(bytes);
}

bool IsHeldOut(const PickProblem& problem) { return PickHash(problem) % kHeldOutModulus == 0; }

Triple ShuffledTriple(Rng& rng, const PickProblem& problem, int triple) {
  Triple numbers{};
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = problem.nums[static_cast<size_t>(kTriples[static_cast<size_t>(triple)][i])];
  }
  Shuffle(rng, numbers);
  return numbers;
}

PickProblem DrawTrainProblem(Rng& rng) {
  for (;;) {
    std::array<int, kPickMaxNumber> all{};
    for (int i = 0; i < kPickMaxNumber; ++i) all[static_cast<size_t>(i)] = i + 1;
    PickProblem problem;
    for (size_t i = 0; i < problem.nums.size(); ++i) {
      std::swap(all[i], all[i + rng.Below(all.size() - i)]);
      problem.nums[i] = all[i];
    }
    const int triple = static_cast<int>(rng.Below(kTriples.size()));
    problem.target = TripleSum(problem, triple);
    if (SolvingTriple(problem) != triple || IsHeldOut(problem)) continue;
    problem.chinese = rng.Chance(kChineseShare);
    return problem;
  }
}

PickProblem TrainProblem(uint64_t seed, uint64_t index) {
  Rng rng(seed, Stream::kProblems, index);
  return DrawTrainProblem(rng);
}

PickProblem HeldOutProblem(uint64_t index) { return HeldOutList()[index % HeldOutList().size()]; }

uint64_t HeldOutCount() { return HeldOutList().size(); }

std::string PromptText(const PickProblem& problem) {
  std::string text;
  text += kBeginMarker;
  text += kUserMarker;
  const auto add = [&](std::string_view word) { (text += ' ') += word; };
  add(WordText(Word::kPick, problem.chinese));
  for (const int n : problem.nums) add(std::to_string(n));
  add(WordText(Word::kSum, problem.chinese));
  add(std::to_string(problem.target));
  text += kAssistantMarker;
  return text;
}

Result<PickProblem> ParsePickPrompt(std::string_view prompt) {
  const auto bad = [&](const char* what) {
    return Error{ErrorCode::kBadInput, std::string("not a pick prompt: ") + what + ": " + Quote(prompt)};
  };
  std::vector<std::string_view> words;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) words.push_back(item.text);
  }
  if (words.size() != 8) return bad("eight words wanted, pick and five numbers and sum and a number");
  PickProblem problem;
  problem.chinese = words[0] == WordText(Word::kPick, true);
  if (words[0] != WordText(Word::kPick, problem.chinese) || words[6] != WordText(Word::kSum, problem.chinese)) {
    return bad("it does not read pick … sum … in one language");
  }
  for (size_t i = 0; i < problem.nums.size(); ++i) {
    problem.nums[i] = NumberOf(words[1 + i]);
    if (problem.nums[i] < 1 || problem.nums[i] > kPickMaxNumber) return bad("a number is not in 1..20");
    const auto before = problem.nums.begin() + static_cast<ptrdiff_t>(i);
    if (std::find(problem.nums.begin(), before, problem.nums[i]) != before) return bad("a number occurs twice");
  }
  problem.target = NumberOf(words[7]);
  if (SolvingTriple(problem) < 0) return bad("not exactly one triple has the sum");
  return problem;
}

}  // namespace r1
