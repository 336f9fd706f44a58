// The prompt for pure reinforcement learning on a base model that knows no chat format: a few plain sentences that say
// who speaks and where thinking and answer go, then the question. It asks for no particular way of thinking: whatever
// strategy appears is the model's own. Content after the R1 report (R1-Zero, prompt template); the wording is ours.
// Sampling stops at the end token or after "</answer>".
#pragma once

#include <string>
#include <string_view>

namespace r1 {

inline constexpr std::string_view kR1ZeroPreamble =
    "What follows is a conversation between a User and an Assistant. The User puts a question and the Assistant solves "
    "it. "
    "Before it replies, the Assistant first works the reasoning out in its mind, and only then gives the User the "
    "answer. "
    "The reasoning stands between <think> and </think>, the answer between <answer> and </answer>, like this: "
    "<think> the reasoning goes here </think> <answer> the answer goes here </answer>.\n";

// The parts around the question. They are scaffold text; the question is content and is encoded apart from them.
inline constexpr std::string_view kR1ZeroBeforeQuestion = "User: ";
inline constexpr std::string_view kR1ZeroAfterQuestion = "\nAssistant:";

inline std::string R1ZeroPrompt(std::string_view question) {
  std::string text(kR1ZeroPreamble);
  text += kR1ZeroBeforeQuestion;
  text += question;
  text += kR1ZeroAfterQuestion;
  return text;
}

}  // namespace r1
