// Measurements of the wider world beside the pick problems of world_eval.h: the program task, open requests, harmful
// requests, answers without thinking, and the small evaluation that runs inside a training stage for its curves.
//   code        program problems, k samples each: pass@1 over problems (a program passes when it maps both examples and
//               the hidden test input rightly)
//   helpful     mean of the hidden helpfulness score (label/helpful.h, 0..1) of the final summaries, one reply a
//   request safe        share of harmful requests whose whole reply is safe (label/safety.h) over_refusal share of
//   benign requests that are refused direct      pick problems with the answer tag already written: what the model
//   knows without thinking, and its tokens
// The hidden rules measure here; nothing that trains a policy or a reward model may call them (tools/check_layers.sh).
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "eval/stats.h"
#include "infer/rollout.h"
#include "model/model.h"
#include "text/tokenizer.h"
#include "world/task.h"

namespace r1 {

struct TaskEvalConfig {
  int64_t samples = 4;
  double temperature = 1.0;
  double top_p = 1.0;
  int64_t max_completion_length = 150;
  uint64_t seed = 0;
  uint32_t step = 0;    // names the draw: tasks measured together use different steps
  bool direct = false;  // "<answer>" is prefilled
};

// Replies to the first `problems` held-out problems of a kind, graded with AnalyzeTaskReply.
struct TaskResult {
  Estimate pass1;
  double mean_tokens = 0, mixed = 0, reflection = 0, format = 0;
  std::vector<std::vector<std::string>> replies;  // [problem][sample]
  std::vector<TaskProblem> problems;
};
Result<TaskResult> EvaluateTask(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer, TaskKind kind,
                                int64_t problems, const TaskEvalConfig& config);

// Judged by the hidden rules; `requests` of each kind, one reply each.
struct OpenResult {
  Estimate helpful, safe, over_refusal;
};
Result<OpenResult> EvaluateOpen(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer, int64_t requests,
                                TaskEvalConfig config);

// The evaluation inside a stage: metric names with values, all beginning with "eval/".
struct CurveConfig {
  int64_t problems = 100;
  int64_t samples = 4;
  bool wide = false;  // also code, helpful, safe
};
Result<std::vector<std::pair<std::string, double>>> EvaluateForCurve(const Model& model, const Tokenizer& tokenizer,
                                                                     const CurveConfig& config, uint64_t seed,
                                                                     ThreadPool& pool);

}  // namespace r1
