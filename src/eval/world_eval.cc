#include "eval/world_eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "eval/task_eval.h"
#include "infer/rollout.h"
#include "world/corpus.h"
#include "world/pick.h"
#include "world/reply.h"
#include "world/verifier.h"
#include "world/words.h"

namespace r1 {

namespace {

constexpr uint32_t kGeneralStep = 1;  // the general tasks draw from other counters than the problems
constexpr uint32_t kCodeStep = 2, kDirectStep = 5;
constexpr int kBootstrapRounds = 2000;

RolloutOptions Options(const Tokenizer& tokenizer, const EvalConfig& config, const Model& model, uint64_t seed) {
  RolloutOptions o;
  o.sampling.temperature = config.temperature;
  o.sampling.top_p = config.top_p;
  o.max_new_tokens = config.max_completion_length;
  o.stop = {tokenizer.IdOf(kEndMarker)};
  o.token_limit = std::min<int64_t>(tokenizer.size(), model.config().vocab_size);
  o.seed = seed;
  o.stream = Stream::kEval;
  o.want_logp = false;
  return o;
}

double MeanYes(const Model& model, const Tokenizer& tokenizer, int64_t probes, bool right, ThreadPool& pool) {
  std::vector<std::vector<int32_t>> texts, candidates;
  for (int64_t i = 0; i < probes; ++i) {
    const VerifierProbe probe = VerifierProbeAt(static_cast<uint64_t>(i), right);
    texts.push_back(tokenizer.Encode(probe.text));
    candidates.emplace_back();
    for (const std::string& verdict : probe.verdicts) candidates.back().push_back(tokenizer.IdOf(verdict));
  }
  double sum = 0;
  for (const std::vector<float>& p : NextTokenProbabilities(model, pool, texts, candidates)) {
    const double all = static_cast<double>(p[0]) + static_cast<double>(p[1]) + static_cast<double>(p[2]);
    sum += all > 0 ? static_cast<double>(p[kYesVerdict]) / all : 0;
  }
  return sum / static_cast<double>(probes);
}

// The measurements of task_eval.h that the config asks for.
Status MeasureWideWorld(RolloutEngine& engine, const Model& model, const Tokenizer& tokenizer, const EvalConfig& config,
                        uint64_t seed, EvalResult* e) {
  TaskEvalConfig task;
  task.temperature = config.temperature;
  task.top_p = config.top_p;
  task.max_completion_length = config.max_completion_length;
  task.seed = seed;
  if (config.code_problems > 0) {
    task.samples = config.samples;
    task.step = kCodeStep;
    R1_ASSIGN(const TaskResult code,
              EvaluateTask(engine, model, tokenizer, TaskKind::kCode, config.code_problems, task));
    e->code1 = code.pass1;
    e->code_mean_tokens = code.mean_tokens;
  }
  if (config.direct_samples > 0) {
    task.samples = config.direct_samples;
    task.step = kDirectStep;
    task.direct = true;
    R1_ASSIGN(const TaskResult direct, EvaluateTask(engine, model, tokenizer, TaskKind::kPick, config.problems, task));
    e->direct1 = direct.pass1;
    e->direct_mean_tokens = direct.mean_tokens;
    task.direct = false;
  }
  if (config.open_requests > 0) {
    task.step = 0;
    R1_ASSIGN(const OpenResult open, EvaluateOpen(engine, model, tokenizer, config.open_requests, task));
    e->helpful = open.helpful;
    e->safe = open.safe;
    e->over_refusal = open.over_refusal;
  }
  return {};
}

}  // namespace

Status ValidateEvalConfig(const EvalConfig& c, const std::string& where) {
  R1_TRY(ValidateSamplingConfig({c.temperature, 0, c.top_p, 0}, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.problems < 1 || c.problems > static_cast<int64_t>(HeldOutCount()))
    return fail("problems must be in 1 .. " + std::to_string(HeldOutCount()) + " (the held-out list)");
  if (c.samples < 1 || c.samples > 4096) return fail("samples must be in 1 .. 4096");
  if (c.max_completion_length < 1) return fail("max_completion_length must be at least 1");
  if (c.general_problems < 0 || c.verifier_probes < 0 || c.traces < 0 || c.code_problems < 0 || c.open_requests < 0 ||
      c.direct_samples < 0)
    return fail("counts must not be negative");
  return {};
}

Result<EvalResult> EvaluateWorld(const Model& model, const Tokenizer& tokenizer, const EvalConfig& config,
                                 uint64_t seed, ThreadPool& pool) {
  const auto began = std::chrono::steady_clock::now();
  std::vector<PickProblem> problems;
  std::vector<RolloutRequest> requests;
  for (int64_t i = 0; i < config.problems; ++i) {
    problems.push_back(HeldOutProblem(static_cast<uint64_t>(i)));
    requests.push_back({tokenizer.Encode(PromptText(problems.back())), static_cast<uint32_t>(i), config.samples});
  }
  RolloutEngine engine(model, pool);
  RolloutOptions options = Options(tokenizer, config, model, seed);
  R1_ASSIGN(const auto samples, engine.Run(requests, options));

  EvalResult e;
  e.problems = config.problems;
  e.samples = config.samples;
  e.temperature = config.temperature;
  std::vector<ProblemSamples> graded(problems.size());
  std::vector<double> share(problems.size());
  double replies = 0, thinking = 0, searching = 0, right_searching = 0, first_right = 0, sums = 0, sums_right = 0;
  for (size_t p = 0; p < problems.size(); ++p) {
    for (size_t s = 0; s < samples[p].size(); ++s) {
      const Completion& c = samples[p][s];
      const std::string reply = tokenizer.Decode(c.tokens);
      const ReplyFacts f = AnalyzeReply(problems[p], reply);
      graded[p].push_back({f.correct, f.vote_key});
      share[p] += f.correct ? 1.0 / static_cast<double>(samples[p].size()) : 0;
      ++replies;
      e.tokens += static_cast<int64_t>(c.tokens.size());
      e.format += f.well_formed;
      e.reflection += f.reflects;
      e.mixed += f.mixed;
      e.tries += f.tries;
      e.truncated += c.finish == FinishReason::kLength;
      sums += f.sums;
      sums_right += f.sums_right;
      if (f.thinking_words > 0) {
        ++thinking;
        e.language += f.LanguageConsistency();
      }
      if (f.style == ReplyStyle::kSearch) {
        ++searching;
        right_searching += f.correct;
        first_right += f.first_try_right;
      }
      if (s == 0 && static_cast<int64_t>(p) < config.traces) {
        e.traces.push_back({static_cast<int64_t>(p), PromptText(problems[p]), reply, f.correct,
                            static_cast<int64_t>(c.tokens.size())});
      }
    }
  }
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : 0.0; };
  e.pass1 = PassAt1(graded);
  e.pass1_interval = BootstrapInterval(share, seed, kBootstrapRounds);
  for (int64_t k : {4, 16, 64}) {
    if (k > config.samples) break;
    e.pass_k.emplace_back(k, PassAtK(graded, k));
    e.cons_k.emplace_back(k, ConsAtK(graded, k));
  }
  e.mean_tokens = ratio(static_cast<double>(e.tokens), replies);
  for (double* x : {&e.format, &e.reflection, &e.mixed, &e.tries, &e.truncated}) *x = ratio(*x, replies);
  e.language = ratio(e.language, thinking);
  e.think_share = ratio(searching, replies);
  e.think_accuracy = ratio(right_searching, searching);
  e.first_try_right = ratio(first_right, searching);
  e.sums_right = ratio(sums_right, sums);

  if (config.general_problems > 0) {
    requests.clear();
    for (int64_t i = 0; i < config.general_problems; ++i)
      requests.push_back(
          {tokenizer.Encode(HeldOutGeneralProblem(static_cast<uint64_t>(i)).prompt), static_cast<uint32_t>(i), 1});
    options.step = kGeneralStep;
    R1_ASSIGN(const auto general, engine.Run(requests, options));
    double right = 0;
    for (size_t i = 0; i < general.size(); ++i)
      right += GeneralReplyCorrect(HeldOutGeneralProblem(i), tokenizer.Decode(general[i][0].tokens));
    e.general = right / static_cast<double>(config.general_problems);
  }
  if (config.verifier_probes > 0) {
    e.verifier_yes_given_wrong = MeanYes(model, tokenizer, config.verifier_probes, false, pool);
    e.verifier_yes_given_right = MeanYes(model, tokenizer, config.verifier_probes, true, pool);
  }
  R1_TRY(MeasureWideWorld(engine, model, tokenizer, config, seed, &e));
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return Result<EvalResult>(std::move(e));
}

nlohmann::ordered_json EvalToJson(const EvalResult& e) {
  nlohmann::ordered_json j;
  j["problems"] = e.problems;
  j["samples"] = e.samples;
  j["temperature"] = e.temperature;
  j["pass@1"] = e.pass1.value;
  j["pass@1_stderr"] = e.pass1.standard_error;
  j["pass@1_interval95"] = {e.pass1_interval.low, e.pass1_interval.high};
  for (const auto& [k, estimate] : e.pass_k) {
    j[fmt::format("pass@{}", k)] = estimate.value;
    j[fmt::format("pass@{}_stderr", k)] = estimate.standard_error;
  }
  for (const auto& [k, estimate] : e.cons_k) {
    j[fmt::format("cons@{}", k)] = estimate.value;
    j[fmt::format("cons@{}_stderr", k)] = estimate.standard_error;
  }
  j["format"] = e.format;
  j["mean_tokens"] = e.mean_tokens;
  j["truncated"] = e.truncated;
  j["reflection"] = e.reflection;
  j["mixed"] = e.mixed;
  j["language"] = e.language;
  j["tries"] = e.tries;
  j["think_share"] = e.think_share;
  j["think_accuracy"] = e.think_accuracy;
  j["first_try_right"] = e.first_try_right;
  j["sums_right"] = e.sums_right;
  if (e.general >= 0) j["general"] = e.general;
  const auto put = [&](const char* name, const Estimate& estimate) {
    if (estimate.problems == 0) return;
    j[name] = estimate.value;
    j[std::string(name) + "_stderr"] = estimate.standard_error;
  };
  put("code@1", e.code1);
  if (e.code1.problems > 0) j["code_mean_tokens"] = e.code_mean_tokens;
  put("direct_pass@1", e.direct1);
  if (e.direct1.problems > 0) j["direct_mean_tokens"] = e.direct_mean_tokens;
  put("helpful", e.helpful);
  put("safe", e.safe);
  put("over_refusal", e.over_refusal);
  if (e.verifier_yes_given_wrong >= 0) {
    j["verifier_yes_given_wrong"] = e.verifier_yes_given_wrong;
    j["verifier_yes_given_right"] = e.verifier_yes_given_right;
  }
  return j;
}

std::string EvalText(const EvalResult& e) {
  std::string votes;
  for (const auto& [k, estimate] : e.cons_k) votes += fmt::format("  cons@{} {:.1f} %", k, 100 * estimate.value);
  std::string text =
      fmt::format("pass@1 {:.1f} ± {:.1f} %{}  ({} problems x {} samples, T {:g})\n", 100 * e.pass1.value,
                  100 * e.pass1.standard_error, votes, e.problems, e.samples, e.temperature);
  text += fmt::format(
      "format {:.2f}  length {:.1f} tokens  tries {:.1f}  reflection {:.2f}  mixed {:.2f}  language {:.2f}\n", e.format,
      e.mean_tokens, e.tries, e.reflection, e.mixed, e.language);
  text += fmt::format(
      "thinking mode: {:.1f} % of replies, accuracy inside it {:.1f} %, first try right {:.1f} %, sums right {:.1f} "
      "%\n",
      100 * e.think_share, 100 * e.think_accuracy, 100 * e.first_try_right, 100 * e.sums_right);
  if (e.general >= 0) text += fmt::format("general tasks {:.1f} %\n", 100 * e.general);
  if (e.code1.problems > 0)
    text += fmt::format("programs {:.1f} ± {:.1f} %, {:.1f} tokens\n", 100 * e.code1.value,
                        100 * e.code1.standard_error, e.code_mean_tokens);
  if (e.direct1.problems > 0)
    text += fmt::format("without thinking: pass@1 {:.1f} ± {:.1f} %, {:.1f} tokens\n", 100 * e.direct1.value,
                        100 * e.direct1.standard_error, e.direct_mean_tokens);
  if (e.helpful.problems > 0)
    text += fmt::format("helpful {:.1f} ± {:.1f} %, safe {:.1f} ± {:.1f} %, over-refusal {:.1f} %\n",
                        100 * e.helpful.value, 100 * e.helpful.standard_error, 100 * e.safe.value,
                        100 * e.safe.standard_error, 100 * e.over_refusal.value);
  if (e.verifier_yes_given_wrong >= 0)
    text += fmt::format("verifier: P(yes | wrong sum) {:.2f} %, P(yes | right sum) {:.2f} %\n",
                        100 * e.verifier_yes_given_wrong, 100 * e.verifier_yes_given_right);
  return text;
}

std::string TracesText(const EvalResult& e) {
  std::string text;
  for (const EvalTrace& t : e.traces) {
    nlohmann::ordered_json line;
    line["problem"] = t.problem;
    line["prompt"] = t.prompt;
    line["completion"] = t.completion;
    line["correct"] = t.correct;
    line["tokens"] = t.tokens;
    text += ToLineText(line) + "\n";
  }
  return text;
}

}  // namespace r1
