#include "eval/task_eval.h"

#include <algorithm>

#include "label/helpful.h"
#include "label/safety.h"
#include "world/words.h"

namespace r1 {

namespace {

// Steps of the draws, so that no two measurements share random numbers. 0 and 1 are those of world_eval.cc.
constexpr uint32_t kHelpfulStep = 3, kHarmlessStep = 4, kCurvePickStep = 6, kCurveCodeStep = 7, kCurveOpenStep = 8;

RolloutOptions Options(const Model& model, const Tokenizer& tokenizer, const TaskEvalConfig& config) {
  RolloutOptions o;
  o.sampling.temperature = config.temperature;
  o.sampling.top_p = config.top_p;
  o.max_new_tokens = config.max_completion_length;
  o.stop = {tokenizer.IdOf(kEndMarker)};
  o.token_limit = std::min<int64_t>(tokenizer.size(), model.config().vocab_size);
  o.seed = config.seed;
  o.stream = Stream::kEval;
  o.step = config.step;
  o.want_logp = false;
  return o;
}

}  // namespace

Result<TaskResult> EvaluateTask(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer, TaskKind kind,
                                int64_t problems, const TaskEvalConfig& config) {
  TaskResult result;
  std::vector<RolloutRequest> requests;
  for (int64_t i = 0; i < problems; ++i) {
    result.problems.push_back(HeldOutTask(kind, static_cast<uint64_t>(i)));
    requests.push_back({tokenizer.Encode(result.problems.back().prompt), static_cast<uint32_t>(i), config.samples});
    if (config.direct) requests.back().prompt.push_back(tokenizer.IdOf(kAnswerMarker));
  }
  R1_ASSIGN(const auto samples, engine.Run(requests, Options(model, tokenizer, config)));
  std::vector<double> right(result.problems.size());
  double replies = 0;
  for (size_t p = 0; p < samples.size(); ++p) {
    result.replies.emplace_back();
    for (const Completion& c : samples[p]) {
      std::string reply = tokenizer.Decode(c.tokens);
      if (config.direct) reply = " " + std::string(kAnswerMarker) + reply;
      const ReplyFacts facts = AnalyzeTaskReply(result.problems[p], reply);
      right[p] += (facts.correct ? 1.0 : 0.0) / static_cast<double>(samples[p].size());
      ++replies;
      result.mean_tokens += static_cast<double>(c.tokens.size());
      result.mixed += facts.mixed ? 1 : 0;
      result.reflection += facts.reflects ? 1 : 0;
      result.format += facts.well_formed ? 1 : 0;
      result.replies.back().push_back(std::move(reply));
    }
  }
  result.pass1 = MeanOverProblems(right);
  for (double* x : {&result.mean_tokens, &result.mixed, &result.reflection, &result.format})
    *x = replies > 0 ? *x / replies : 0.0;
  return Result<TaskResult>(std::move(result));
}

Result<OpenResult> EvaluateOpen(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer, int64_t requests,
                                TaskEvalConfig config) {
  const uint32_t first_step = config.step;
  config.samples = 1;
  config.step = first_step + kHelpfulStep;
  R1_ASSIGN(const TaskResult open, EvaluateTask(engine, model, tokenizer, TaskKind::kHelpful, requests, config));
  config.step = first_step + kHarmlessStep;
  R1_ASSIGN(const TaskResult harmful, EvaluateTask(engine, model, tokenizer, TaskKind::kHarmless, requests, config));
  OpenResult result;
  std::vector<double> helpful, refused, safe;
  for (size_t i = 0; i < open.problems.size(); ++i) {
    const std::string summary = FinalSummary(open.replies[i][0]);
    helpful.push_back(label::HelpfulScore(open.problems[i], summary));
    refused.push_back(label::IsRefusal(summary) ? 1.0 : 0.0);
  }
  for (size_t i = 0; i < harmful.problems.size(); ++i)
    safe.push_back(label::IsSafe(harmful.problems[i], harmful.replies[i][0]) ? 1.0 : 0.0);
  result.helpful = MeanOverProblems(helpful);
  result.over_refusal = MeanOverProblems(refused);
  result.safe = MeanOverProblems(safe);
  return result;
}

Result<std::vector<std::pair<std::string, double>>> EvaluateForCurve(const Model& model, const Tokenizer& tokenizer,
                                                                     const CurveConfig& config, uint64_t seed,
                                                                     ThreadPool& pool) {
  RolloutEngine engine(model, pool);
  TaskEvalConfig task;
  task.samples = config.samples;
  task.seed = seed;
  task.step = kCurvePickStep;
  R1_ASSIGN(const TaskResult pick, EvaluateTask(engine, model, tokenizer, TaskKind::kPick, config.problems, task));
  std::vector<std::pair<std::string, double>> metrics = {{"eval/pass@1", pick.pass1.value},
                                                         {"eval/pass@1_stderr", pick.pass1.standard_error},
                                                         {"eval/mean_tokens", pick.mean_tokens},
                                                         {"eval/mixed", pick.mixed},
                                                         {"eval/reflection", pick.reflection}};
  if (!config.wide) return metrics;
  task.step = kCurveCodeStep;
  R1_ASSIGN(const TaskResult code, EvaluateTask(engine, model, tokenizer, TaskKind::kCode, config.problems, task));
  metrics.emplace_back("eval/code@1", code.pass1.value);
  task.step = kCurveOpenStep;
  R1_ASSIGN(const OpenResult open, EvaluateOpen(engine, model, tokenizer, config.problems, task));
  metrics.emplace_back("eval/helpful", open.helpful.value);
  metrics.emplace_back("eval/safe", open.safe.value);
  metrics.emplace_back("eval/over_refusal", open.over_refusal.value);
  return metrics;
}

}  // namespace r1
