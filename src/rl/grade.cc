#include "rl/grade.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "infer/score.h"
#include "reward/answer.h"
#include "world/words.h"

namespace r1 {

namespace {

// Tokens between <think> and </think> (or the end).
int64_t ThinkTokens(const Tokenizer& tokenizer, const std::vector<int32_t>& reply) {
  const auto open = std::find(reply.begin(), reply.end(), tokenizer.IdOf(kThinkMarker));
  if (open == reply.end()) return 0;
  return std::find(open, reply.end(), tokenizer.IdOf(kEndThinkMarker)) - open - 1;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

bool IsRuleKind(TaskKind kind) { return kind != TaskKind::kHelpful && kind != TaskKind::kHarmless; }

std::vector<RewardWeight> WeightsOf(TaskKind kind, const RlConfig& c) {
  std::vector<RewardWeight> weights = {{"accuracy", c.reward_accuracy}};
  if (kind == TaskKind::kGeneral) return weights;
  weights.push_back({"format", c.reward_format});
  if (c.reward_language != 0) weights.push_back({"language", c.reward_language});
  return weights;
}

void AddTerm(const char* name, double value, double weight, Reward* reward) {
  reward->terms.emplace_back(name, value);
  reward->total += weight * value;
}

}  // namespace

Result<Grader> Grader::Make(const RlConfig& config, int64_t overlong_buffer, const std::vector<TaskShare>& mix,
                            const ModelText& text, const Model* helpful, const Model* harmless) {
  Grader grader(config, overlong_buffer, text);
  const Tokenizer& tokenizer = text.tokenizer();
  for (const TaskShare& entry : mix) {
    const size_t kind = static_cast<size_t>(entry.kind);
    if (entry.kind == TaskKind::kData) continue;
    if (IsRuleKind(entry.kind)) {
      R1_ASSIGN(RewardSet set, RewardSet::Make(TaskName(entry.kind), WeightsOf(entry.kind, config)));
      grader.rule_of_kind_[kind] = static_cast<int>(grader.rules_.size());
      grader.rules_.push_back(std::move(set));
      continue;
    }
    const Model* model = entry.kind == TaskKind::kHelpful ? helpful : harmless;
    const std::string name = TaskName(entry.kind);
    if (model == nullptr)
      return Error{ErrorCode::kRefused, "task mix '" + config.task + "' has " + name +
                                            " requests, but no reward model for them is given; set " + name +
                                            " to a stage or folder of kind rm, or take " + name + " out of task"};
    if (model->config().num_labels != 1)
      return Error{ErrorCode::kRefused, "the model given for " + name +
                                            " requests has no scalar head; it must be one of a stage of kind rm"};
    if (model->config().vocab_size < tokenizer.size())
      return Error{ErrorCode::kRefused, "the model given for " + name + " requests has a vocabulary of " +
                                            std::to_string(model->config().vocab_size) + " tokens, the policy's has " +
                                            std::to_string(tokenizer.size()) + "; they must share a tokenizer"};
    grader.models_[kind] = model;
  }
  return Result<Grader>(std::move(grader));
}

void Grader::GradeData(const TaskProblem& problem, Rollout* r) const {
  const ThinkTags tags{config_.think_open, config_.think_close};
  const AnswerReply parts = SplitAnswerReply(r->reply, tags);
  const std::optional<std::string> answer = ExtractAnswer(parts.content);
  r->facts = {};
  r->facts.ended = !r->truncated();
  r->facts.correct = answer.has_value() && SameAnswer(*answer, problem.solution);
  r->facts.well_formed = HasForm(r->reply, r->facts.ended, *ReplyFormFromName(config_.reply_form), tags);
  r->facts.vote_key = answer.value_or("");
  r->think_tokens = static_cast<int64_t>(text_.tokenizer().EncodeContent(parts.thinking).size());
  r->reward = {};
  AddTerm("accuracy", r->facts.correct ? 1 : 0, config_.reward_accuracy, &r->reward);
  AddTerm("format", r->facts.well_formed ? 1 : 0, config_.reward_format, &r->reward);
}

void Grader::GradeByRules(const TaskProblem& problem, Rollout* r) const {
  if (problem.kind == TaskKind::kData) return GradeData(problem, r);
  r->facts = AnalyzeTaskReply(problem, r->reply);
  r->think_tokens =
      text_.is_world()
          ? ThinkTokens(text_.tokenizer(), r->completion.tokens)
          : static_cast<int64_t>(text_.tokenizer().EncodeContent(SplitAnswerReply(r->reply, {}).thinking).size());
  const int rule = rule_of_kind_[static_cast<size_t>(problem.kind)];
  r->reward = {};
  if (rule >= 0) r->reward = rules_[static_cast<size_t>(rule)].Score({problem.prompt, r->reply, problem.solution});
}

std::vector<int32_t> Grader::TextToScore(TaskKind kind, const Rollout& r) const {
  if (kind == TaskKind::kHarmless) {
    std::vector<int32_t> text = r.tokens;
    const bool cut_off = text_.is_world() ? text.back() != text_.end() : r.truncated();
    if (cut_off) text.push_back(text_.end());
    return text;
  }
  const std::string summary = text_.is_world()
                                  ? FinalSummary(r.reply)
                                  : SplitAnswerReply(text_.ReplyText(r.completion.tokens, r.think), {}).content;
  if (summary.empty() || !r.facts.ended) return {};
  const EncodedPrompt prompt{{}, r.think, r.tight};
  const Result<std::vector<int32_t>> words = text_.Reply(prompt, std::nullopt, summary, "summary");
  if (!words.ok()) return {};
  std::vector<int32_t> text(r.tokens.begin(), r.tokens.begin() + static_cast<std::ptrdiff_t>(r.prompt_tokens));
  text.insert(text.end(), words->begin(), words->end());
  return text;
}

void Grader::GradeByModel(TaskKind kind, std::span<const TaskProblem> problems, std::span<Rollout> rollouts,
                          ThreadPool& pool) const {
  const Model* model = models_[static_cast<size_t>(kind)];
  if (model == nullptr) return;
  const double weight = kind == TaskKind::kHelpful ? config_.reward_helpful : config_.reward_harmless;
  std::vector<std::vector<int32_t>> texts;
  std::vector<Rollout*> scored;
  for (Rollout& r : rollouts) {
    if (problems[r.prompt].kind != kind) continue;
    std::vector<int32_t> text = TextToScore(kind, r);
    if (text.empty()) {
      AddTerm(TaskName(kind), 0, weight, &r.reward);
    } else if (static_cast<int64_t>(text.size()) > model->config().max_position_embeddings) {
      r.reward.gradable = false;
    } else {
      texts.push_back(std::move(text));
      scored.push_back(&r);
    }
  }
  const std::vector<double> score = texts.empty() ? std::vector<double>() : ScoreTexts(*model, pool, texts);
  for (size_t i = 0; i < scored.size(); ++i) AddTerm(TaskName(kind), Sigmoid(score[i]), weight, &scored[i]->reward);
  for (Rollout& r : rollouts) {
    if (problems[r.prompt].kind == kind && config_.reward_language != 0 && r.facts.thinking_words > 0)
      AddTerm("language", r.facts.LanguageConsistency(), config_.reward_language, &r.reward);
  }
}

void Grader::Grade(std::span<const TaskProblem> problems, std::span<Rollout> rollouts, ThreadPool& pool) const {
  pool.ParallelFor(static_cast<int64_t>(rollouts.size()), [&](int64_t i, int) {
    Rollout& r = rollouts[static_cast<size_t>(i)];
    GradeByRules(problems[r.prompt], &r);
  });
  for (const TaskKind kind : {TaskKind::kHelpful, TaskKind::kHarmless}) GradeByModel(kind, problems, rollouts, pool);
  for (Rollout& r : rollouts) {
    if (overlong_buffer_ > 0)
      AddTerm("overlong",
              SoftOverlongPenalty(static_cast<int64_t>(r.length()), config_.max_completion_length, overlong_buffer_), 1,
              &r.reward);
    if (!r.reward.gradable) r.reward.total = 0;
  }
}

}  // namespace r1
