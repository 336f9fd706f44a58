// Makes a right but unreadable reply readable, as the report's cold start asks for: thinking in one language, and only
// tries whose sums are right. A function of text; it invents no step.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "world/task.h"

namespace r1 {

// For pick and code. The thinking of a well-formed reply, word for word in the prompt's language; a try that is
// incomplete or has a wrong written sum is left out together with its verdict; the first try left says try, later ones
// wait. The answer is kept as it is. Nothing if the reply is not well formed, its thinking has a word that is not of
// the world, or no try is left. The result is written as the corpus writes: " <think> try … so </think> <answer> …
// </answer><|end|>".
std::optional<std::string> RewriteThinking(const TaskProblem& problem, std::string_view reply);

}  // namespace r1
