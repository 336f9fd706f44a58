// Rewards of a mix of tasks. For a reply only the terms of its task's kind apply (training facts 4.4). Each is a term
// in [0, 1] times its weight in the settings:
//   pick, code  accuracy, format, language
//   general     accuracy
//   data        accuracy and format as reward/answer.h has them: the final answer is the solution's text or number; the
//               reply is in the form of the settings
//   helpful     sigmoid of the helpfulness model's score of prompt and final summary; language, where there is thinking
//   harmless    sigmoid of the safety model's score of prompt and whole reply; language, where there is thinking
//   all         the overlong penalty in [-1, 0], where overlong_buffer is set (reward/rewards.h)
// A score is a log-odds (of being preferred to a reply of score 0; of being safe), so that its sigmoid bounds the
// reward as a probability does. The models read the tokens they are trained on (train/reward_model.h): the prompt's,
// then the reply's as sampled or the summary's (world/task.h; in a chat template all that follows the thinking), and
// the token that ends a reply, also where one was cut off before it. A helpful reply without a summary or cut off
// before its end gets 0: there is nothing that could be sent to a user.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "data/model_text.h"
#include "model/model.h"
#include "rl/batch.h"
#include "rl/config.h"

namespace r1 {

class Grader {
 public:
  // helpful and harmless are models with a scalar head, needed where the mix has that kind, else they may be null. They
  // and the text's tokenizer must outlive the grader.
  static Result<Grader> Make(const RlConfig& config, int64_t overlong_buffer, const std::vector<TaskShare>& mix,
                             const ModelText& text, const Model* helpful, const Model* harmless);
  // Fills facts, reward and think_tokens of replies to problems[reply.prompt]; text and tokens must be there.
  void Grade(std::span<const TaskProblem> problems, std::span<Rollout> rollouts, ThreadPool& pool) const;

 private:
  Grader(const RlConfig& config, int64_t overlong_buffer, const ModelText& text)
      : config_(config), overlong_buffer_(overlong_buffer), text_(text) {}
  void GradeData(const TaskProblem& problem, Rollout* r) const;
  void GradeByRules(const TaskProblem& problem, Rollout* r) const;
  void GradeByModel(TaskKind kind, std::span<const TaskProblem> problems, std::span<Rollout> rollouts,
                    ThreadPool& pool) const;
  std::vector<int32_t> TextToScore(TaskKind kind, const Rollout& r) const;

  RlConfig config_;
  int64_t overlong_buffer_;
  ModelText text_;
  const Model* models_[kTaskKinds] = {};
  std::vector<RewardSet> rules_;  // of pick, code and general as far as the mix has them
  int rule_of_kind_[kTaskKinds] = {-1, -1, -1, -1, -1};
};

}  // namespace r1
