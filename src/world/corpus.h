// The base corpus of the built-in world: an endless list of documents, each a pure function of (seed, index). It holds
// no problem of the held-out lists. The table of kinds and their probabilities is CorpusOdds; a model trained on it
// answers about one pick problem in five, searches in a third of its replies and gives up early: what reinforcement
// learning starts from. There are two corpora: "pick" (the default odds), and "wide", which adds code, open and harmful
// requests and is as noisy about them as the web is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "world/general.h"
#include "world/pick.h"
#include "world/task.h"
#include "world/words.h"

namespace r1 {

// The form of a pick or code document; all documents of the other tasks are general.
enum class DocumentKind { kGeneral, kBare, kDirect, kSingleTry, kSearch };
inline constexpr int kDocumentKinds = 5;
const char* DocumentKindName(DocumentKind kind);

struct Document {
  std::string prompt;  // ends with <|assistant|>
  std::string reply;   // ends with <|end|>; the loss is taken here
  DocumentKind kind = DocumentKind::kGeneral;
  PickProblem problem;  // of pick documents
  TaskKind task = TaskKind::kGeneral;
};

// Probabilities of the corpus. The defaults are the corpus; other values are for experiments and clean documents.
struct CorpusOdds {
  double general = 0.25, bare = 0.11, direct = 0.23, single_try = 0.15;  // the rest is search
  double right = 0.30;    // bare, direct, single try: the right triple; else any of the ten
  double uniform = 0.30;  // search: next candidate uniform; else with weight 1 / (1 + |sum - T| / 5)
  double slip = 0.02;     // a written sum of a search is off by 1, 2 or 10, up or down
  double flip = 0.01;     // a verdict is replaced by one of the other two
  double give_up = 0.35;  // after a negative verdict
  double patient = 0.20;  // share of search documents that instead give up with
  double patient_give_up = 0.02;
  double mix_search = 0.45;  // documents whose every word draws its language by coin
  double mix_single_try = 0.10;
  // The wide world. Shares of documents; code documents have the forms in pick's proportions.
  WorldKind world = WorldKind::kPick;
  double open = 0, harmful = 0, code = 0;
  double code_slip = 0.05;  // the c of a proposed program is off by one
};
inline constexpr int kMaxCorpusTries = 10;  // a search tries no triple twice

// "pick" or "wide"; error kUsage for another name.
Result<CorpusOdds> CorpusNamed(const std::string& name);
// The odds with the shares of search and single-try documents scaled by share_kept (0: no reasoning documents, 1: as
// they are); what is freed goes to bare and direct in their proportion. Holds for code's forms too.
CorpusOdds WithReasoning(CorpusOdds odds, double share_kept);

Document DocumentAt(uint64_t seed, uint64_t index, const CorpusOdds& odds = {});
// General documents only: what later stages mix in. In the wide world 55 % exact tasks, 30 % open and 15 % harmful
// requests, answered as in the corpus.
Document GeneralDocumentAt(uint64_t seed, uint64_t index, const CorpusOdds& odds = {});
// A search in one language, without slips or wrong verdicts, until it is solved.
Document CleanSearchAt(uint64_t seed, uint64_t index);

}  // namespace r1
