// Verdicts on answers that no rule can check. The judge gets question, reference and answer. Only a verdict in exactly
// the form asked for counts; whatever else comes back, or nothing, is kFailed, and a failed sample is never kept.
//   endpoint  any OpenAI-compatible one. Asked for one JSON object {"analysis": "...", "correctness": "correct" or
//             "incorrect"} and nothing around it, as in the R1 report; temperature 0. Question, reference and answer
//             are sent as one JSON object, so that an answer cannot step out of its place.
//   model     a local model folder. Asked as a user for yes or no, greedily; the first word that is said after any
//             thinking counts: yes or no, whatever the case.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "net/chat_client.h"

namespace r1 {

struct JudgeQuestion {
  std::string question, reference, answer;
};
enum class Verdict { kCorrect, kIncorrect, kFailed };
const char* VerdictName(Verdict verdict);  // "correct", "incorrect", "failed"

// One verdict for each question, in order. An error if nothing could be asked at all.
using Judge = std::function<Result<std::vector<Verdict>>(const std::vector<JudgeQuestion>& questions)>;

Verdict ParseVerdict(std::string_view text);  // the endpoint's words
Verdict ParseYesNo(std::string_view reply);   // the local model's words
ChatRequest JudgeRequest(const JudgeQuestion& question);

// An error if every request of a call failed to get an answer (the endpoint is gone); single ones count as failed.
Judge EndpointJudge(const ChatClient& client);
// Loads the model now. max_tokens: longest reply of the judge.
Result<Judge> ModelJudge(const std::string& folder, int64_t max_tokens, ThreadPool& pool);

}  // namespace r1
