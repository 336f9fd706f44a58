// The base corpus of the built-in world: an endless list of documents, each a pure function of (seed, index). It holds
// no problem of the held-out list. The table of kinds and their probabilities is CorpusOdds; a model trained on it
// answers about one pick problem in five, searches in a third of its replies and gives up early: what reinforcement
// learning starts from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

// One question of the general tasks with its only right reply.
//   add a b (a 1..40, b 1..20) -> the sum; same a b -> yes, or big / small when a is greater / smaller than b;
//   translate w… (2 to 5 things) -> the words of the other language; sort n… (3 to 5 distinct numbers <= 60) ->
//   ascending
struct GeneralProblem {
  std::string prompt;  // ends with <|assistant|>
  std::string answer;  // the reply without <|end|>
};
// The fixed evaluation list, independent of any seed, in the corpus's proportions of tasks and languages. Translate and
// sort questions in it never occur in the corpus (StableHash of the prompt mod 10 = 0); add and same are small closed
// tables that the corpus covers.
GeneralProblem HeldOutGeneralProblem(uint64_t index);
// Exact match of the reply's words, <|end|> required.
bool GeneralReplyCorrect(const GeneralProblem& problem, std::string_view reply);

}  // namespace r1
