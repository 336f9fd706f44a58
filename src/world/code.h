// The task "code" of the wide world: find a program from two examples. A program is 1 to 4 instructions `+ n`, `- n` or
// `* n` (n in 0..63) on an accumulator that starts as the input; a value outside 0..63 at any point is a run-time
// error. The hidden function is f(x) = m·x + c with m in 1..4 and c in -9..9, inputs are 1..12.
//   prompt  <|begin|><|user|> code 3 > 10 5 > 16<|assistant|>        (编 … in Chinese)
//   reply    <think> try 3 * 2 = 6 10 - 6 = 4 5 * 2 = 10 + 4 = 14 small wait 3 * 3 = 9 10 - 9 = 1 5 * 3 = 15 + 1 = 16
//            yes so </think> <answer> * 3 + 1 </answer><|end|>
// A try multiplies the first input, subtracts to see what is left to (or, the other way round, is over) the first
// output, runs that program on the second input and compares with the second output.
// A reply is right if its program, whatever it is, passes both examples and a hidden third test. The test is a function
// of the examples, so a problem is known by its prompt. Held out: problems whose CodeHash is 0 mod 10.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "world/reply.h"

namespace r1 {

struct CodeExample {
  int input = 0;
  int output = 0;
  friend bool operator==(const CodeExample&, const CodeExample&) = default;
};
struct CodeProblem {
  std::array<CodeExample, 2> examples{};  // in prompt order
  bool chinese = false;
  friend bool operator==(const CodeProblem&, const CodeProblem&) = default;
};
// f(x) = m·x + c, written `* m + c` or `* m - |c|`.
struct CodeRule {
  int m = 0;
  int c = 0;
  friend bool operator==(const CodeRule&, const CodeRule&) = default;
};
inline constexpr int kMaxCodeFactor = 4;
inline constexpr int kMaxCodeOffset = 9;
inline constexpr int kMaxCodeInput = 12;
inline constexpr size_t kMaxInstructions = 4;

struct Instruction {
  char op = '+';  // + - *
  int n = 0;
};
using Program = std::vector<Instruction>;
// Nothing unless the words are 1 to 4 instructions and nothing else.
std::optional<Program> ParseProgram(const std::vector<std::string_view>& words);
// The value at the end; nothing on a run-time error.
std::optional<int> RunProgram(const Program& program, int input);
// The program as m·x + c, without regard to ranges: "3 -1".
std::string ProgramKey(const Program& program);

// Does the rule stay in 0..63 on the input?
bool RuleRuns(const CodeRule& rule, int input);
// The rules of the family that run on both inputs, m ascending, then c.
std::vector<CodeRule> RunnableRules(const CodeProblem& problem);
// The only rule of the family that fits both examples; nothing if there is none, more than one, or no third input on
// which it runs.
std::optional<CodeRule> FitRule(const CodeProblem& problem);
// The third test. The problem must have a FitRule.
CodeExample HiddenTest(const CodeProblem& problem);

// StableHash of the two examples in order of input, a byte each: independent of language and prompt order.
uint64_t CodeHash(const CodeProblem& problem);
bool IsHeldOut(const CodeProblem& problem);
CodeProblem DrawCodeProblem(Rng& rng);  // not held out
// Every held-out problem once in one fixed order (task.h: HeldOutTask); index modulo the count.
CodeProblem HeldOutCodeProblem(uint64_t index);
uint64_t HeldOutCodeCount();

std::string PromptText(const CodeProblem& problem);
Result<CodeProblem> ParseCodePrompt(std::string_view prompt);  // with or without markers; error kBadInput

// `w * m = q a - b = d x * m = p ± c = v` from words[at] on: as many of the 19 words as are there. What is proposed is
// * m + d where b is q, and * m - d where a is.
struct WrittenCodeTry {
  int first_product = -1;  // q
  bool first_product_right = false;
  int difference = -1;  // d
  bool difference_right = false;
  std::optional<CodeRule> proposed;
  int input = -1;
  int product = -1;  // p
  int value = -1;    // v
  bool product_right = false;
  bool value_right = false;  // of p as it is written
  bool as_proposed = false;  // the sums use the proposed m and c
  size_t words = 0;
};
inline constexpr size_t kCodeTryWords = 19;
WrittenCodeTry ReadCodeTry(const std::vector<std::string_view>& words, size_t at);

// The facts of a reply; world/task.h says where they differ from pick's.
ReplyFacts AnalyzeCodeReply(const CodeProblem& problem, std::string_view reply);

}  // namespace r1
