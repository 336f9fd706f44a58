// The general tasks of the built-in world: four small ones with exact answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/rng.h"

namespace r1 {

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
// A question drawn from rng; held_out says on which side of the split translate and sort questions lie.
GeneralProblem DrawGeneralProblem(Rng& rng, bool held_out);
// The question of a prompt, with or without markers, with its answer worked out; at most 63 operands. Error kBadInput.
Result<GeneralProblem> ParseGeneralPrompt(std::string_view prompt);
// Exact match of the reply's words, <|end|> required.
bool GeneralReplyCorrect(const GeneralProblem& problem, std::string_view reply);

}  // namespace r1
