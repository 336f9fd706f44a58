// What the three sources of rejection sampling share (sample.h has the files and the promises): chunks of prompts are
// answered and judged into raw.jsonl, then one pass over it filters and writes the data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "data/model_text.h"
#include "distill/judge.h"
#include "distill/sample.h"
#include "world/task.h"

namespace r1 {

struct SamplePrompt {
  std::string question;                // the user's words
  std::string solution;                // "" if there is none
  std::string task;                    // for metadata
  std::optional<TaskProblem> problem;  // if it is one of the built-in world
};

struct RawReply {
  std::string text;
  bool ended = false;    // not cut off
  bool missing = false;  // none came
  int64_t tokens = 0;
};

struct SampleSource {
  std::string name;      // "sample", "endpoint", "traces": metadata's source
  std::string identity;  // text that changes whenever prompts or replies may be others
  int64_t prompts = 0;
  int64_t chunk = 256;                            // prompts asked together; no result depends on it
  std::function<SamplePrompt(int64_t i)> prompt;  // pure
  // A list of replies for each prompt, the first of which has number `first`.
  std::function<Result<std::vector<std::vector<RawReply>>>(const std::vector<SamplePrompt>& prompts, int64_t first)>
      replies;
};

// Tokens of a reply as the model reads it.
int64_t CountReplyTokens(const ModelText& text, std::string_view thinking, std::string_view content);

// The judge of the settings; null if there is none.
Result<Judge> MakeJudge(const JudgeConfig& config, ThreadPool& pool);

Status RunPipeline(const SampleSource& source, const SampleConfig& config, const ModelText& text, uint64_t seed,
                   const std::string& folder, const Judge& judge, ThreadPool& pool, const std::string& title);

}  // namespace r1
