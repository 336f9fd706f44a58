#include "world/corpus.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "world/corpus_parts.h"
#include "world/draw.h"
#include "world/words.h"
#include "world/write.h"

namespace r1 {
namespace {

// Documents of the kinds of one seed come from apart counters of one stream.
constexpr uint64_t kGeneralOnly = uint64_t{1} << 62;
constexpr uint64_t kCleanOnly = uint64_t{2} << 62;

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

Document DrawGeneralDocument(Rng& rng) {
  GeneralProblem general = DrawGeneralProblem(rng, false);
  Document document;
  document.prompt = std::move(general.prompt);
  document.reply = Ended(std::move(general.answer));
  return document;
}

Document DrawRequestDocument(Rng& rng, TaskKind task) {
  const OpenRequest request = task == TaskKind::kHarmless ? DrawHarmfulRequest(rng) : DrawOpenRequest(rng);
  Document document;
  document.task = task;
  document.prompt = PromptText(request);
  document.reply = Ended(task == TaskKind::kHarmless ? HarmfulReply(rng, request) : OpenReply(rng, request));
  return document;
}

// Share of search among pick documents; what is left of 1, without the rounding of the sums.
double SearchShare(const CorpusOdds& odds) {
  const double rest =
      1 - odds.general - odds.open - odds.harmful - odds.code - odds.bare - odds.direct - odds.single_try;
  return rest < 1e-9 ? 0 : rest;
}

// The form that u, uniform below the sum of the shares of the four forms, falls on.
DocumentKind FormAt(double u, const CorpusOdds& odds) {
  const auto below = [&](double share) {
    const bool hit = u < share;
    u -= share;
    return hit;
  };
  return below(odds.bare)         ? DocumentKind::kBare
         : below(odds.direct)     ? DocumentKind::kDirect
         : below(odds.single_try) ? DocumentKind::kSingleTry
         : SearchShare(odds) > 0  ? DocumentKind::kSearch
                                  : DocumentKind::kDirect;
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

Result<CorpusOdds> CorpusNamed(const std::string& name) {
  CorpusOdds odds;
  if (name == "pick") return odds;
  if (name != "wide") return Error{ErrorCode::kUsage, "no corpus " + Quote(name) + "; there are 'pick' and 'wide'"};
  odds.world = WorldKind::kWide;
  odds.general = 0.18;
  odds.open = 0.07;
  odds.harmful = 0.04;
  odds.code = 0.13;
  odds.bare = 0.085;
  odds.direct = 0.18;
  odds.single_try = 0.115;  // and search 0.20
  return odds;
}

CorpusOdds WithReasoning(CorpusOdds odds, double share_kept) {
  const double guesses = odds.bare + odds.direct;
  const double freed = (1 - share_kept) * (odds.single_try + SearchShare(odds));
  odds.single_try *= share_kept;
  odds.bare += freed * (guesses > 0 ? odds.bare / guesses : 0);
  odds.direct += freed * (guesses > 0 ? odds.direct / guesses : 1);
  return odds;
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
  if (below(odds.open)) return DrawRequestDocument(rng, TaskKind::kHelpful);
  if (below(odds.harmful)) return DrawRequestDocument(rng, TaskKind::kHarmless);
  Document document;
  if (below(odds.code)) {
    document.task = TaskKind::kCode;
    document.kind = FormAt(rng.Uniform() * (odds.bare + odds.direct + odds.single_try + SearchShare(odds)), odds);
    const CodeProblem problem = DrawCodeProblem(rng);
    document.prompt = PromptText(problem);
    document.reply = Ended(CodeReply(rng, problem, document.kind, odds));
    return document;
  }
  document.task = TaskKind::kPick;
  document.kind = FormAt(u, odds);
  document.problem = DrawTrainProblem(rng);
  document.prompt = PromptText(document.problem);
  document.reply = Ended(document.kind == DocumentKind::kSearch ? Search(rng, document.problem, odds)
                                                                : OneGuess(rng, document.problem, document.kind, odds));
  return document;
}

Document GeneralDocumentAt(uint64_t seed, uint64_t index, const CorpusOdds& odds) {
  constexpr double kExact = 0.55;
  constexpr double kOpen = 0.30;
  Rng rng(seed, Stream::kCorpus, kGeneralOnly | index);
  if (odds.world == WorldKind::kPick) return DrawGeneralDocument(rng);
  const double u = rng.Uniform();
  if (u < kExact) return DrawGeneralDocument(rng);
  return DrawRequestDocument(rng, u < kExact + kOpen ? TaskKind::kHelpful : TaskKind::kHarmless);
}

Document CleanSearchAt(uint64_t seed, uint64_t index) {
  CorpusOdds clean;
  clean.slip = clean.flip = clean.mix_search = 0;
  clean.give_up = clean.patient_give_up = 0;
  Rng rng(seed, Stream::kCorpus, kCleanOnly | index);
  Document document;
  document.task = TaskKind::kPick;
  document.kind = DocumentKind::kSearch;
  document.problem = DrawTrainProblem(rng);
  document.prompt = PromptText(document.problem);
  document.reply = Ended(Search(rng, document.problem, clean));
  return document;
}

}  // namespace r1
