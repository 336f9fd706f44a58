// The replies of the wide corpus, one function a task; world/corpus.h puts documents together.
#pragma once

#include <string>

#include "world/code.h"
#include "world/corpus.h"
#include "world/open.h"

namespace r1 {

// A reply of the given form to a code problem, without <|end|>. Guesses (bare, direct, single try) are right with
// odds.right, else any rule of the family that runs on both inputs. A search proposes m, infers c from the first
// example and runs the program on the second.
std::string CodeReply(Rng& rng, const CodeProblem& problem, DocumentKind kind, const CorpusOdds& odds);
// Replies to requests, without <|end|>, as noisy as the web (the shares are in the .cc).
std::string OpenReply(Rng& rng, const OpenRequest& request);
std::string HarmfulReply(Rng& rng, const OpenRequest& request);

}  // namespace r1
