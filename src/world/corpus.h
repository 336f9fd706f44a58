// The base corpus of the built-in world: an endless list of documents, each a pure function of (seed, index). It holds
// no problem of the held-out list. The table of kinds and their probabilities is CorpusOdds; a model trained on it
// answers about one pick problem in five, searches in a third of its replies and gives up early: what reinforcement
// learning starts from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "world/general.h"
#include "world/pick.h"

namespace r1 {

enum class DocumentKind { kGeneral, kBare, kDirect, kSingleTry, kSearch };
inline constexpr int kDocumentKinds = 5;
const char* DocumentKindName(DocumentKind kind);

struct Document {
  std::string prompt;  // ends with <|assistant|>
  std::string reply;   // ends with <|end|>; the loss is taken here
  DocumentKind kind = DocumentKind::kGeneral;
  PickProblem problem;  // of every kind but general
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
};
inline constexpr int kMaxCorpusTries = 10;  // a search tries no triple twice

Document DocumentAt(uint64_t seed, uint64_t index, const CorpusOdds& odds = {});
// General documents only: what later stages mix in.
Document GeneralDocumentAt(uint64_t seed, uint64_t index);
// A search in one language, without slips or wrong verdicts, until it is solved.
Document CleanSearchAt(uint64_t seed, uint64_t index);

}  // namespace r1
