#include "world/code.h"

#include <algorithm>
#include <cstdlib>

#include "base/quote.h"
#include "world/draw.h"
#include "world/pick.h"
#include "world/reply_parts.h"
#include "world/words.h"
#include "world/write.h"

namespace r1 {
namespace {

constexpr uint64_t kHeldOutSeed = 20250125;  // orders the held-out list; part of every published result

int Apply(const CodeRule& rule, int input) { return rule.m * input + rule.c; }

bool IsSign(std::string_view word) { return word == "+" || word == "-" || word == "*"; }

// The inputs of a third test.
std::vector<int> ThirdInputs(const CodeProblem& problem, const CodeRule& rule) {
  std::vector<int> inputs;
  for (int x = 1; x <= kMaxCodeInput; ++x) {
    if (x != problem.examples[0].input && x != problem.examples[1].input && RuleRuns(rule, x)) inputs.push_back(x);
  }
  return inputs;
}

std::vector<CodeProblem> ListHeldOut() {
  std::vector<CodeProblem> list;
  for (int m = 1; m <= kMaxCodeFactor; ++m) {
    for (int c = -kMaxCodeOffset; c <= kMaxCodeOffset; ++c) {
      for (int a = 1; a <= kMaxCodeInput; ++a) {
        for (int b = a + 1; b <= kMaxCodeInput; ++b) {
          const CodeRule rule{m, c};
          if (!RuleRuns(rule, a) || !RuleRuns(rule, b)) continue;
          const CodeProblem problem{{{{a, Apply(rule, a)}, {b, Apply(rule, b)}}}, false};
          if (IsHeldOut(problem) && FitRule(problem).has_value()) list.push_back(problem);
        }
      }
    }
  }
  Rng rng(kHeldOutSeed, Stream::kEval);
  Shuffle(rng, list);
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].chinese = i % 5 == 1 || i % 5 == 3;
    Shuffle(rng, list[i].examples);
  }
  return list;
}

const std::vector<CodeProblem>& HeldOutList() {
  static const std::vector<CodeProblem> list = ListHeldOut();
  return list;
}

bool Passes(const Program& program, const CodeExample& example) {
  return RunProgram(program, example.input) == example.output;
}

void CountTries(const CodeProblem& problem, const ReplyWords& thinking, ReplyFacts* facts) {
  const std::optional<CodeRule> fit = FitRule(problem);
  for (size_t i = 0; i < thinking.size(); ++i) {
    if (!IsTryWord(thinking[i])) continue;
    ++facts->tries;
    const WrittenCodeTry found = ReadCodeTry(thinking, i + 1);
    if (facts->tries == 1) facts->first_try_right = fit.has_value() && found.proposed == fit;
    if (found.first_product >= 0) {
      ++facts->sums;
      facts->sums_right += found.first_product_right;
    }
    if (found.difference >= 0) {
      ++facts->sums;
      facts->sums_right += found.difference_right;
    }
    if (found.product >= 0) {
      ++facts->sums;
      facts->sums_right += found.product_right;
    }
    if (found.words != kCodeTryWords) continue;
    ++facts->sums;
    facts->sums_right += found.value_right;
    if (i + 1 + kCodeTryWords >= thinking.size()) continue;
    const int verdict = VerdictOf(thinking[i + 1 + kCodeTryWords]);
    const auto example = std::find_if(problem.examples.begin(), problem.examples.end(),
                                      [&](const CodeExample& e) { return e.input == found.input; });
    if (verdict == kNoVerdict || example == problem.examples.end()) continue;
    const int truth = found.value < example->output ? -1 : found.value > example->output ? 1 : 0;
    ++facts->verdicts;
    facts->verdicts_right += verdict == truth;
    facts->false_yes += verdict == 0 && truth != 0;
  }
}

}  // namespace

std::optional<Program> ParseProgram(const std::vector<std::string_view>& words) {
  if (words.empty() || words.size() % 2 != 0 || words.size() > 2 * kMaxInstructions) return {};
  Program program;
  for (size_t i = 0; i < words.size(); i += 2) {
    const int n = NumberOf(words[i + 1]);
    if (!IsSign(words[i]) || n < 0 || n > kMaxNumber) return {};
    program.push_back({words[i][0], n});
  }
  return program;
}

std::optional<int> RunProgram(const Program& program, int input) {
  int value = input;
  for (const Instruction& step : program) {
    value = step.op == '*' ? value * step.n : step.op == '+' ? value + step.n : value - step.n;
    if (value < 0 || value > kMaxNumber) return {};
  }
  return value;
}

std::string ProgramKey(const Program& program) {
  int64_t m = 1;  // at most 63^4
  int64_t c = 0;
  for (const Instruction& step : program) {
    if (step.op == '*') {
      m *= step.n;
      c *= step.n;
    } else {
      c += step.op == '+' ? step.n : -step.n;
    }
  }
  return std::to_string(m) + " " + std::to_string(c);
}

bool RuleRuns(const CodeRule& rule, int input) {
  const int value = Apply(rule, input);
  return rule.m * input <= kMaxNumber && value >= 0 && value <= kMaxNumber;
}

std::vector<CodeRule> RunnableRules(const CodeProblem& problem) {
  std::vector<CodeRule> rules;
  for (int m = 1; m <= kMaxCodeFactor; ++m) {
    for (int c = -kMaxCodeOffset; c <= kMaxCodeOffset; ++c) {
      const CodeRule rule{m, c};
      if (RuleRuns(rule, problem.examples[0].input) && RuleRuns(rule, problem.examples[1].input)) rules.push_back(rule);
    }
  }
  return rules;
}

std::optional<CodeRule> FitRule(const CodeProblem& problem) {
  std::optional<CodeRule> found;
  for (const CodeRule& rule : RunnableRules(problem)) {
    const auto fits = [&](const CodeExample& e) { return Apply(rule, e.input) == e.output; };
    if (!std::all_of(problem.examples.begin(), problem.examples.end(), fits)) continue;
    if (found) return {};
    found = rule;
  }
  if (found && ThirdInputs(problem, *found).empty()) return {};
  return found;
}

CodeExample HiddenTest(const CodeProblem& problem) {
  const CodeRule rule = FitRule(problem).value();
  const std::vector<int> inputs = ThirdInputs(problem, rule);
  const int input = inputs[CodeHash(problem) / kHeldOutModulus % inputs.size()];
  return {input, Apply(rule, input)};
}

uint64_t CodeHash(const CodeProblem& problem) {
  std::array<CodeExample, 2> sorted = problem.examples;
  if (sorted[1].input < sorted[0].input) std::swap(sorted[0], sorted[1]);
  std::string bytes;
  for (const CodeExample& example : sorted) {
    bytes += static_cast<char>(example.input);
    bytes += static_cast<char>(example.output);
  }
  return StableHash(bytes);
}

bool IsHeldOut(const CodeProblem& problem) { return CodeHash(problem) % kHeldOutModulus == 0; }

CodeProblem DrawCodeProblem(Rng& rng) {
  for (;;) {
    const CodeRule rule{static_cast<int>(rng.Range(1, kMaxCodeFactor)),
                        static_cast<int>(rng.Range(-kMaxCodeOffset, kMaxCodeOffset))};
    CodeProblem problem;
    bool runs = true;
    for (CodeExample& example : problem.examples) {
      example.input = static_cast<int>(rng.Range(1, kMaxCodeInput));
      example.output = Apply(rule, example.input);
      runs = runs && RuleRuns(rule, example.input);
    }
    if (!runs || problem.examples[0].input == problem.examples[1].input) continue;
    if (FitRule(problem) != rule || IsHeldOut(problem)) continue;
    problem.chinese = rng.Chance(kChineseShare);
    return problem;
  }
}

CodeProblem HeldOutCodeProblem(uint64_t index) { return HeldOutList()[index % HeldOutList().size()]; }

uint64_t HeldOutCodeCount() { return HeldOutList().size(); }

std::string PromptText(const CodeProblem& problem) {
  Writer words;
  words.Put(WordText(Word::kCode, problem.chinese));
  for (const CodeExample& example : problem.examples) words.Put(example.input).Put(">").Put(example.output);
  return UserPrompt(words.Take());
}

Result<CodeProblem> ParseCodePrompt(std::string_view prompt) {
  const auto bad = [&](const char* what) {
    return Error{ErrorCode::kBadInput, std::string("not a code prompt: ") + what + ": " + Quote(prompt)};
  };
  std::vector<std::string_view> words;
  for (const ReplyItem& item : SplitReply(prompt)) {
    if (!item.is_marker) words.push_back(item.text);
  }
  if (words.size() != 7 || WordNamed(words[0]) != Word::kCode) return bad("code and two examples a > b wanted");
  CodeProblem problem;
  problem.chinese = words[0] == WordText(Word::kCode, true);
  for (size_t i = 0; i < 2; ++i) {
    CodeExample& example = problem.examples[i];
    example = {NumberOf(words[1 + 3 * i]), NumberOf(words[3 + 3 * i])};
    if (words[2 + 3 * i] != ">") return bad("there is no > between input and output");
    if (example.input < 1 || example.input > kMaxCodeInput) return bad("an input is not in 1..12");
    if (example.output < 0 || example.output > kMaxNumber) return bad("an output is not in 0..63");
  }
  if (problem.examples[0].input == problem.examples[1].input) return bad("the inputs are equal");
  if (!FitRule(problem)) return bad("not exactly one m·x + c with m in 1..4 and c in -9..9 fits");
  return problem;
}

WrittenCodeTry ReadCodeTry(const std::vector<std::string_view>& words, size_t at) {
  WrittenCodeTry result;
  const auto word = [&] { return at + result.words < words.size() ? words[at + result.words] : std::string_view(); };
  const auto number = [&](int* n) { return (*n = NumberOf(word())) >= 0 && ++result.words > 0; };
  const auto sign = [&](std::string_view s) { return word() == s && ++result.words > 0; };
  // "± n"
  const auto offset = [&](int* c) {
    const bool minus = word() == "-";
    if (!sign("+") && !sign("-")) return false;
    if (!number(c)) return false;
    if (minus) *c = -*c;
    return true;
  };
  CodeRule used;
  int first_input = -1, first_m = -1;
  if (!number(&first_input) || !sign("*") || !number(&first_m) || !sign("=") || !number(&result.first_product))
    return result;
  result.first_product_right = first_input * first_m == result.first_product;
  int minuend = -1, subtrahend = -1;
  if (!number(&minuend) || !sign("-") || !number(&subtrahend) || !sign("=") || !number(&result.difference))
    return result;
  result.difference_right = minuend - subtrahend == result.difference;
  if (subtrahend == result.first_product) result.proposed = CodeRule{first_m, result.difference};
  if (minuend == result.first_product && minuend != subtrahend) result.proposed = CodeRule{first_m, -result.difference};
  if (!number(&result.input) || !sign("*") || !number(&used.m) || !sign("=") || !number(&result.product)) return result;
  result.product_right = result.input * used.m == result.product;
  if (!offset(&used.c) || !sign("=") || !number(&result.value)) return result;
  result.value_right = result.product + used.c == result.value;
  result.as_proposed = result.proposed == used;
  return result;
}

ReplyFacts AnalyzeCodeReply(const CodeProblem& problem, std::string_view reply) {
  ReplyFacts facts;
  const ReplyItems items = SplitReply(reply);
  const auto is_bare = [](std::string_view word) { return NumberOf(word) >= 0 || IsSign(word); };
  AnalyzeForm(items, problem.chinese, is_bare, &facts);
  if (const std::optional<Program> program = ParseProgram(LastAnswer(items))) {
    facts.correct = FitRule(problem).has_value() && Passes(*program, problem.examples[0]) &&
                    Passes(*program, problem.examples[1]) && Passes(*program, HiddenTest(problem));
    facts.vote_key = ProgramKey(*program);
  }
  CountTries(problem, ThinkingOf(items), &facts);
  return facts;
}

}  // namespace r1
