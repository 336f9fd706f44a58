// Replies of the wide corpus to code problems: guesses and searches over programs.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "world/corpus_parts.h"
#include "world/write.h"

namespace r1 {
namespace {

void PutOffset(Writer& out, int c) { out.Put(c < 0 ? "-" : "+").Put(std::abs(c)); }

void PutRule(Writer& out, const CodeRule& rule) {
  out.Put("*").Put(rule.m);
  PutOffset(out, rule.c);
}

void PutAnswer(Writer& out, const CodeRule& rule) {
  out.Put(kAnswerMarker);
  PutRule(out, rule);
  out.Put(kEndAnswerMarker);
}

// " w * m = q y - q = c x * m = p + c = v", or q - y and - |c| where the product is over the output y.
void PutTry(Writer& out, const CodeRule& rule, const CodeExample& first, int first_product, int input, int product,
            int value) {
  out.Put(first.input).Put("*").Put(rule.m).Put("=").Put(first_product);
  const int high = rule.c < 0 ? first_product : first.output;
  const int low = rule.c < 0 ? first.output : first_product;
  out.Put(high).Put("-").Put(low).Put("=").Put(std::abs(rule.c));
  out.Put(input).Put("*").Put(rule.m).Put("=").Put(product);
  PutOffset(out, rule.c);
  out.Put("=").Put(value);
}

bool InFamily(const CodeRule& rule) { return std::abs(rule.c) <= kMaxCodeOffset; }

// The rules that fit the first example and run on the second input, m ascending.
std::vector<CodeRule> Candidates(const CodeProblem& problem) {
  const CodeExample& first = problem.examples[0];
  std::vector<CodeRule> rules;
  for (int m = 1; m <= kMaxCodeFactor; ++m) {
    const CodeRule rule{m, first.output - m * first.input};
    if (InFamily(rule) && RuleRuns(rule, first.input) && RuleRuns(rule, problem.examples[1].input)) {
      rules.push_back(rule);
    }
  }
  return rules;
}

// c off by one, where that stays in the family and runs on the input.
CodeRule Slipped(Rng& rng, const CodeRule& rule, int input) {
  const int step = rng.Below(2) == 0 ? 1 : -1;
  for (const CodeRule& slip : {CodeRule{rule.m, rule.c + step}, CodeRule{rule.m, rule.c - step}}) {
    if (InFamily(slip) && RuleRuns(slip, input)) return slip;
  }
  return rule;
}

std::string Search(Rng& rng, const CodeProblem& problem, const CorpusOdds& odds) {
  Speaker speaker(rng, problem.chinese, rng.Chance(odds.mix_search));
  const double give_up = rng.Chance(odds.patient) ? odds.patient_give_up : odds.give_up;
  const CodeExample& first = problem.examples[0];
  const CodeExample& second = problem.examples[1];
  Writer out;
  out.Put(kThinkMarker);
  std::vector<CodeRule> left = Candidates(problem);
  CodeRule rule;
  for (int attempt = 0;; ++attempt) {
    const auto pick = static_cast<ptrdiff_t>(rng.Below(left.size()));
    const CodeRule meant = left[static_cast<size_t>(pick)];
    rule = rng.Chance(odds.code_slip) ? Slipped(rng, meant, second.input) : meant;
    const int first_product = WrittenSum(rng, first.input * rule.m, odds.slip);
    const int product = WrittenSum(rng, second.input * rule.m, odds.slip);
    const int value = WrittenSum(rng, product + rule.c, odds.slip);
    const bool slipped = rule != meant || first_product != first.input * rule.m || product != second.input * rule.m ||
                         value != product + rule.c;
    if (!slipped) left.erase(left.begin() + pick);
    out.Put(speaker.Say(attempt == 0 ? Word::kTry : Word::kWait));
    PutTry(out, rule, first, first_product, second.input, product, value);
    const Word verdict = WrittenVerdict(rng, value, second.output, odds.flip);
    out.Put(speaker.Say(verdict));
    if (verdict == Word::kYes) break;
    if (left.empty() || attempt + 1 == kMaxCorpusTries || rng.Chance(give_up)) {
      out.Put(speaker.Say(Word::kStop));
      break;
    }
  }
  out.Put(speaker.Say(Word::kSo)).Put(kEndThinkMarker);
  PutAnswer(out, rule);
  return out.Take();
}

}  // namespace

std::string CodeReply(Rng& rng, const CodeProblem& problem, DocumentKind kind, const CorpusOdds& odds) {
  if (kind == DocumentKind::kSearch) return Search(rng, problem, odds);
  // A guess is any rule that runs; one who tries has met the first example.
  const std::vector<CodeRule> family = kind == DocumentKind::kSingleTry ? Candidates(problem) : RunnableRules(problem);
  const CodeRule rule = rng.Chance(odds.right) ? FitRule(problem).value() : family[rng.Below(family.size())];
  Writer out;
  if (kind == DocumentKind::kBare) {
    PutRule(out, rule);
    return out.Take();
  }
  if (kind == DocumentKind::kSingleTry) {
    Speaker speaker(rng, problem.chinese, rng.Chance(odds.mix_single_try));
    const CodeExample& first = problem.examples[0];
    const int second = problem.examples[1].input;
    out.Put(kThinkMarker).Put(speaker.Say(Word::kTry));
    PutTry(out, rule, first, first.input * rule.m, second, second * rule.m, second * rule.m + rule.c);
    out.Put(speaker.Say(Word::kSo)).Put(kEndThinkMarker);
  }
  PutAnswer(out, rule);
  return out.Take();
}

}  // namespace r1
