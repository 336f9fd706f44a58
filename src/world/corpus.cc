#include "world/corpus.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "world/draw.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kGeneralSeed = 20250123;  // of the general evaluation list; part of every published result
// Documents of the kinds of one seed come from apart counters of one stream.
constexpr uint64_t kGeneralOnly = uint64_t{1} << 62;
constexpr uint64_t kCleanOnly = uint64_t{2} << 62;

// Words with a space before each.
class Writer {
 public:
  Writer& Put(std::string_view word) {
    (text_ += ' ') += word;
    return *this;
  }
  Writer& Put(int number) { return Put(std::to_string(number)); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string UserPrompt(const std::string& words) {
  std::string text(kBeginMarker);
  text += kUserMarker;
  text += words;
  text += kAssistantMarker;
  return text;
}

std::string Ended(std::string reply) { return reply += kEndMarker; }

// Chooses the language of each word of a document.
class Speaker {
 public:
  Speaker(Rng& rng, bool chinese, bool by_coin) : rng_(rng), chinese_(chinese), by_coin_(by_coin) {}
  std::string_view Say(Word word) { return WordText(word, by_coin_ ? rng_.Below(2) == 1 : chinese_); }

 private:
  Rng& rng_;
  bool chinese_;
  bool by_coin_;
};

void PutAnswer(Writer& out, const Triple& numbers) {
  out.Put(kAnswerMarker).Put(numbers[0]).Put(numbers[1]).Put(numbers[2]).Put(kEndAnswerMarker);
}

// ---- search ----

int NextCandidate(Rng& rng, const PickProblem& problem, const std::vector<int>& left, double uniform) {
  if (rng.Chance(uniform)) return static_cast<int>(rng.Below(left.size()));
  double total = 0;
  std::array<double, kTriples.size()> weight{};
  for (size_t i = 0; i < left.size(); ++i) {
    weight[i] = 1 / (1 + std::abs(TripleSum(problem, left[i]) - problem.target) / 5.0);
    total += weight[i];
  }
  double u = rng.Uniform() * total;
  for (size_t i = 0; i + 1 < left.size(); ++i) {
    if (u < weight[i]) return static_cast<int>(i);
    u -= weight[i];
  }
  return static_cast<int>(left.size()) - 1;
}

int WrittenSum(Rng& rng, int sum, double slip) {
  if (slip > 0 && rng.Chance(slip)) {
    constexpr Triple kSlips = {1, 2, 10};
    const int size = kSlips[rng.Below(3)];
    sum += rng.Below(2) == 0 ? size : -size;
  }
  return std::clamp(sum, 0, kMaxNumber);
}

Word Verdict(int value, int target) {
  if (value == target) return Word::kYes;
  return value > target ? Word::kBig : Word::kSmall;
}

Word WrittenVerdict(Rng& rng, int value, int target, double flip) {
  const Word truth = Verdict(value, target);
  if (flip <= 0 || !rng.Chance(flip)) return truth;
  std::array<Word, 2> others{};
  size_t count = 0;
  for (const Word word : {Word::kBig, Word::kSmall, Word::kYes}) {
    if (word != truth) others[count++] = word;
  }
  return others[rng.Below(2)];
}

std::string Search(Rng& rng, const PickProblem& problem, const CorpusOdds& odds) {
  Speaker speaker(rng, problem.chinese, rng.Chance(odds.mix_search));
  const double give_up = rng.Chance(odds.patient) ? odds.patient_give_up : odds.give_up;
  Writer out;
  out.Put(kThinkMarker);
  std::vector<int> left(kTriples.size());
  for (size_t i = 0; i < left.size(); ++i) left[i] = static_cast<int>(i);
  Triple n{};
  for (int attempt = 0;; ++attempt) {
    const int pick = NextCandidate(rng, problem, left, odds.uniform);
    n = ShuffledTriple(rng, problem, left[static_cast<size_t>(pick)]);
    left.erase(left.begin() + pick);
    const int first = WrittenSum(rng, n[0] + n[1], odds.slip);
    const int second = WrittenSum(rng, first + n[2], odds.slip);
    out.Put(speaker.Say(attempt == 0 ? Word::kTry : Word::kWait));
    out.Put(n[0]).Put("+").Put(n[1]).Put("=").Put(first).Put("+").Put(n[2]).Put("=").Put(second);
    const Word verdict = WrittenVerdict(rng, second, problem.target, odds.flip);
    out.Put(speaker.Say(verdict));
    if (verdict == Word::kYes) break;
    if (left.empty() || rng.Chance(give_up)) {
      out.Put(speaker.Say(Word::kStop));
      break;
    }
  }
  out.Put(speaker.Say(Word::kSo)).Put(kEndThinkMarker);
  PutAnswer(out, n);
  return out.Take();
}

// ---- bare, direct, single try ----

std::string OneGuess(Rng& rng, const PickProblem& problem, DocumentKind kind, const CorpusOdds& odds) {
  const int triple = rng.Chance(odds.right) ? SolvingTriple(problem) : static_cast<int>(rng.Below(kTriples.size()));
  const Triple n = ShuffledTriple(rng, problem, triple);
  Writer out;
  if (kind == DocumentKind::kBare) {
    out.Put(n[0]).Put(n[1]).Put(n[2]);
    return out.Take();
  }
  if (kind == DocumentKind::kSingleTry) {
    Speaker speaker(rng, problem.chinese, rng.Chance(odds.mix_single_try));
    out.Put(kThinkMarker).Put(speaker.Say(Word::kTry));
    out.Put(n[0]).Put("+").Put(n[1]).Put("=").Put(n[0] + n[1]).Put("+").Put(n[2]).Put("=").Put(n[0] + n[1] + n[2]);
    out.Put(speaker.Say(Word::kSo)).Put(kEndThinkMarker);
  }
  PutAnswer(out, n);
  return out.Take();
}

// ---- general tasks ----

GeneralProblem Add(Rng& rng, bool chinese) {
  const int a = static_cast<int>(rng.Range(1, 40));
  const int b = static_cast<int>(rng.Range(1, 20));
  return {UserPrompt(Writer().Put(WordText(Word::kAdd, chinese)).Put(a).Put(b).Take()), Writer().Put(a + b).Take()};
}

GeneralProblem Same(Rng& rng, bool chinese) {
  const int a = static_cast<int>(rng.Range(0, kMaxNumber));
  int b = a;
  if (!rng.Chance(0.34)) {
    constexpr std::array<int, 5> kSteps = {1, 2, 3, 5, 10};
    do {
      const int step = kSteps[rng.Below(kSteps.size())];
      b = rng.Below(2) == 0 ? a + step : a - step;
    } while (b < 0 || b > kMaxNumber);
  }
  return {UserPrompt(Writer().Put(WordText(Word::kSame, chinese)).Put(a).Put(b).Take()),
          Writer().Put(WordText(Verdict(a, b), chinese)).Take()};
}

GeneralProblem Translate(Rng& rng, bool chinese) {
  const int count = static_cast<int>(rng.Range(2, 5));
  Writer from;
  Writer to;
  from.Put(WordText(Word::kTranslate, chinese));
  for (int i = 0; i < count; ++i) {
    const auto word = static_cast<Word>(kFirstThing + static_cast<int>(rng.Below(kThingCount)));
    from.Put(WordText(word, chinese));
    to.Put(WordText(word, !chinese));
  }
  return {UserPrompt(from.Take()), to.Take()};
}

GeneralProblem Sort(Rng& rng, bool chinese) {
  const int count = static_cast<int>(rng.Range(3, 5));
  std::vector<int> numbers;
  while (static_cast<int>(numbers.size()) < count) {
    const int n = static_cast<int>(rng.Range(0, 60));
    if (std::find(numbers.begin(), numbers.end(), n) == numbers.end()) numbers.push_back(n);
  }
  Writer from;
  from.Put(WordText(Word::kSort, chinese));
  for (const int n : numbers) from.Put(n);
  std::sort(numbers.begin(), numbers.end());
  Writer to;
  for (const int n : numbers) to.Put(n);
  return {UserPrompt(from.Take()), to.Take()};
}

// `held_out` says which side of the split translate and sort questions come from.
GeneralProblem DrawGeneral(Rng& rng, bool held_out) {
  const double u = rng.Uniform();
  const bool chinese = rng.Chance(kChineseShare);
  if (u < 0.2) return Add(rng, chinese);
  if (u < 0.6) return Same(rng, chinese);
  for (;;) {
    GeneralProblem problem = u < 0.8 ? Translate(rng, chinese) : Sort(rng, chinese);
    if ((StableHash(problem.prompt) % kHeldOutModulus == 0) == held_out) return problem;
  }
}

Document DrawGeneralDocument(Rng& rng) {
  GeneralProblem general = DrawGeneral(rng, false);
  return {std::move(general.prompt), Ended(std::move(general.answer)), DocumentKind::kGeneral, {}};
}

}  // namespace

const char* DocumentKindName(DocumentKind kind) {
  switch (kind) {
    case DocumentKind::kGeneral:
      return "general";
    case DocumentKind::kBare:
      return "bare";
    case DocumentKind::kDirect:
      return "direct";
    case DocumentKind::kSingleTry:
      return "single_try";
    case DocumentKind::kSearch:
      break;
  }
  return "search";
}

Document DocumentAt(uint64_t seed, uint64_t index, const CorpusOdds& odds) {
  Rng rng(seed, Stream::kCorpus, index);
  double u = rng.Uniform();
  const auto below = [&](double share) {
    const bool hit = u < share;
    u -= share;
    return hit;
  };
  if (below(odds.general)) return DrawGeneralDocument(rng);
  Document document;
  document.kind = below(odds.bare)         ? DocumentKind::kBare
                  : below(odds.direct)     ? DocumentKind::kDirect
                  : below(odds.single_try) ? DocumentKind::kSingleTry
                                           : DocumentKind::kSearch;
  document.problem = DrawTrainProblem(rng);
  document.prompt = PromptText(document.problem);
  document.reply = Ended(document.kind == DocumentKind::kSearch ? Search(rng, document.problem, odds)
                                                                : OneGuess(rng, document.problem, document.kind, odds));
  return document;
}

Document GeneralDocumentAt(uint64_t seed, uint64_t index) {
  Rng rng(seed, Stream::kCorpus, kGeneralOnly | index);
  return DrawGeneralDocument(rng);
}

Document CleanSearchAt(uint64_t seed, uint64_t index) {
  CorpusOdds clean;
  clean.slip = clean.flip = clean.mix_search = 0;
  clean.give_up = clean.patient_give_up = 0;
  Rng rng(seed, Stream::kCorpus, kCleanOnly | index);
  Document document;
  document.kind = DocumentKind::kSearch;
  document.problem = DrawTrainProblem(rng);
  document.prompt = PromptText(document.problem);
  document.reply = Ended(Search(rng, document.problem, clean));
  return document;
}

GeneralProblem HeldOutGeneralProblem(uint64_t index) {
  Rng rng(kGeneralSeed, Stream::kEval, index);
  return DrawGeneral(rng, true);
}

bool GeneralReplyCorrect(const GeneralProblem& problem, std::string_view reply) {
  std::vector<ReplyItem> got = SplitReply(reply);
  const std::vector<ReplyItem> want = SplitReply(problem.answer);
  if (got.empty() || got.back().text != kEndMarker) return false;
  got.pop_back();
  return std::equal(got.begin(), got.end(), want.begin(), want.end(),
                    [](const ReplyItem& a, const ReplyItem& b) { return a.text == b.text; });
}

}  // namespace r1
