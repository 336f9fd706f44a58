// Evaluation on the built-in world, by the protocol of the report in miniature: k samples a problem, pass@1 with its
// standard error over problems, pass@k, majority votes; what thinking looks like; the general tasks; and how well the
// model verifies its own sums.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/threads.h"
#include "eval/stats.h"
#include "infer/sampler.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace r1 {

struct EvalConfig {
  int64_t problems = 500;
  int64_t samples = 16;
  double temperature = 1.0;
  double top_p = 1.0;
  int64_t max_completion_length = 150;
  int64_t general_problems = 500;
  int64_t verifier_probes = 400;
  int64_t code_problems = 0;
  int64_t open_requests = 0;
  int64_t direct_samples = 0;
  int64_t traces = 40;

  template <class V>
  void Fields(V& v) {
    v("problems", problems, "held-out problems");
    v("samples", samples, "replies a problem");
    v("temperature", temperature, "sampling temperature");
    v("top_p", top_p, "nucleus sampling");
    v("max_completion_length", max_completion_length, "longest reply, tokens");
    v("general_problems", general_problems, "questions of the general tasks, one reply each; 0: none");
    v("verifier_probes", verifier_probes, "probes of each kind of the model's own verdicts; 0: none");
    v("code_problems", code_problems, "held-out program problems of the wide world; 0: none");
    v("open_requests", open_requests, "open and harmful requests of the wide world, one reply each; 0: none");
    v("direct_samples", direct_samples, "replies a problem without thinking, the answer tag prefilled; 0: none");
    v("traces", traces, "problems whose first reply is kept in traces.jsonl");
  }
};
Status ValidateEvalConfig(const EvalConfig& config, const std::string& where);

struct EvalTrace {
  int64_t problem = 0;
  std::string prompt, completion;
  bool correct = false;
  int64_t tokens = 0;
};

struct EvalResult {
  int64_t problems = 0, samples = 0, tokens = 0;
  double temperature = 1;
  Estimate pass1;
  Interval pass1_interval;
  std::vector<std::pair<int64_t, Estimate>> pass_k, cons_k;  // k = 4, 16, 64 where there are as many samples
  double format = 0, mean_tokens = 0, reflection = 0, mixed = 0, language = 0, tries = 0, truncated = 0;
  double think_share = 0;      // replies that search (thinking with verdicts)
  double think_accuracy = 0;   // accuracy among them
  double first_try_right = 0;  // among them
  double sums_right = 0;       // written sums that are right
  double general = -1;         // share right; -1: not measured
  double verifier_yes_given_wrong = -1, verifier_yes_given_right = -1;
  Estimate code1, helpful, safe, over_refusal, direct1;  // problems 0: not measured
  double code_mean_tokens = 0, direct_mean_tokens = 0;
  double seconds = 0;
  std::vector<EvalTrace> traces;
};

// The random numbers are those of `seed`; the problems are the fixed held-out list.
Result<EvalResult> EvaluateWorld(const Model& model, const Tokenizer& tokenizer, const EvalConfig& config,
                                 uint64_t seed, ThreadPool& pool);
nlohmann::ordered_json EvalToJson(const EvalResult& result);
// A few lines for a person.
std::string EvalText(const EvalResult& result);
std::string TracesText(const EvalResult& result);  // JSONL

}  // namespace r1
