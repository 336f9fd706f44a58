// Rejection sampling: replies to problems from a model, an endpoint or a file of recorded ones; those that pass the
// filters (filters.h) become a data set for supervised training. Source: the R1 report, third stage.
//   FOLDER/raw.jsonl      what was sampled: a header line, then a line a problem, appended chunk by chunk. What was
//                         stopped goes on after the last whole chunk.
//   FOLDER/samples.jsonl  what is kept (reply_text.h, MessagesLine) in the order of problems, general documents of the
//                         world evenly between; written at the end, whole or not at all
//   FOLDER/stats.json     {"prompts", "samples", "kept", "general", "dropped": {reason: count}, "tokens" (of the
//                         replies in samples.jsonl), "sampled_tokens", "mean_tokens" (of kept replies), "share_kept",
//                         "prompts_kept" (with at least one kept), "general_skipped" (that overlap a benchmark),
//                         "rewritten", "tasks": {name: {"samples", "kept"}}}
//   FOLDER/metrics.jsonl  a line a chunk: {"step", "samples", "kept" (by the filters that see one sample), "tokens",
//                         "step_time"}
// The same settings and the same model give the same bytes of all but the last, for any number of threads and however
// often it was stopped. (A remote endpoint or judge may answer otherwise the second time; its words are in raw.jsonl.)
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/threads.h"
#include "data/model_text.h"
#include "distill/filters.h"
#include "infer/sampler.h"
#include "model/model.h"
#include "net/chat_client.h"

namespace r1 {

// Who decides where rules cannot (judge.h), and how an endpoint is asked.
struct JudgeConfig {
  std::string judge = "none";
  std::string judge_url, judge_model, judge_key_env;

  template <class V>
  void Fields(V& v) {
    v("judge", judge,
      "none|model|endpoint: who says whether an answer is right where no rule can; without one it is dropped");
    v("judge_url", judge_url, "base address of the judge's OpenAI-compatible endpoint, as in http://localhost:8000/v1");
    v("judge_model", judge_model, "the judge: a local model folder, or the name of the endpoint's model");
    v("judge_key_env", judge_key_env, "environment variable that holds the key of the judge's endpoint; empty: no key");
  }
};

struct SampleConfig {
  std::string task = "pick";
  int64_t problems = 2500;
  std::string problems_file;
  std::string system_prompt;
  int64_t first_problem = 0;
  int64_t num_generations = 4;
  double temperature = 1.0;
  double top_p = 1.0;
  int64_t max_completion_length = 150;
  FilterConfig filters;
  int64_t max_per_prompt = 2;
  bool dedup = true;
  std::string decontaminate;
  int64_t decontaminate_ngram = 10;
  JudgeConfig judge;
  double general = 0.5;
  std::string corpus = "pick";
  int64_t slots = 128;

  template <class V>
  void Fields(V& v) {
    v("task", task, "problems of the built-in world: pick, or a mix such as pick:0.75,code:0.25");
    v("problems", problems, "problems to sample; of a file at most those it has");
    v("problems_file", problems_file, "JSONL file with prompt and solution; empty: the built-in world");
    v("system_prompt", system_prompt,
      "system message before every problem, kept in the samples too; the model's chat template must take one");
    v("first_problem", first_problem, "number of the first problem: a later round takes problems not yet seen");
    v("num_generations", num_generations, "replies sampled for each problem");
    v("temperature", temperature, "sampling temperature; 0 takes the most likely token");
    v("top_p", top_p, "smallest set of tokens with this total probability");
    v("max_completion_length", max_completion_length, "longest reply, tokens");
    filters.Fields(v);
    v("max_per_prompt", max_per_prompt, "replies kept of one prompt, the first sampled ones; 0: all");
    v("dedup", dedup,
      "drop replies that another kept one of the same prompt equals, case, spacing and punctuation aside");
    v("decontaminate", decontaminate,
      "benchmark files (JSONL or text), separated by commas: samples that share an n-gram of words with one are "
      "dropped");
    v("decontaminate_ngram", decontaminate_ngram, "words of those n-grams");
    judge.Fields(v);
    v("general", general,
      "general documents of the built-in world added, as a share of the kept samples; none for a model with its own "
      "chat template");
    v("corpus", corpus, "the world these documents are from: pick or wide");
    v("slots", slots, "replies decoded together by a thread. Changes the speed only");
  }
};
Status ValidateSampleConfig(const SampleConfig& config, const std::string& where);

// Samples from a model, in its own text format; replies are written down in that of the world (reply_text.h). On Ctrl-C
// kInterrupted; the chunks that are done are kept. title names the progress line.
Status RunSample(const Model& model, const ModelText& text, const SampleConfig& config, uint64_t seed,
                 const std::string& folder, ThreadPool& pool, const std::string& title);

// The teacher is an endpoint: it sees the user's words and gives text, with its thinking as reasoning_content or in
// <think> tags. text (the student's) only counts. A reply that is missing or malformed is dropped (no_reply); if
// every reply of a chunk is missing, the endpoint is gone: kUnavailable.
Status SampleFromEndpoint(const ChatClient& teacher, const ModelText& text, const SampleConfig& config, uint64_t seed,
                          const std::string& folder, ThreadPool& pool, const std::string& title);

// Recorded replies (data/traces.h) through the same filters: prompts and replies are the file's.
Status SampleFromTraces(const std::string& file, const ModelText& text, const SampleConfig& config, uint64_t seed,
                        const std::string& folder, ThreadPool& pool, const std::string& title);

}  // namespace r1
