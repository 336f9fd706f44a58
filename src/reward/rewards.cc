#include "reward/rewards.h"

#include "base/fields.h"
#include "base/quote.h"
#include "world/task.h"

namespace r1 {
namespace {

// A reward of a task of the world: the problem is read back from the prompt.
class TaskReward : public RewardFunction {
 public:
  using Term = double (*)(const ReplyFacts& facts);
  TaskReward(TaskKind kind, Term term) : kind_(kind), term_(term) {}
  std::optional<double> Score(const RewardQuery& query) const override {
    Result<TaskProblem> problem = ParseTaskPrompt(query.prompt);
    if (!problem.ok() || problem->kind != kind_) return std::nullopt;
    if (!query.solution.empty()) problem->solution = query.solution;
    return term_(AnalyzeTaskReply(*problem, query.reply));
  }

 private:
  TaskKind kind_;
  Term term_;
};

constexpr TaskReward::Term kAccuracy = [](const ReplyFacts& facts) { return facts.correct ? 1.0 : 0.0; };
constexpr TaskReward::Term kFormat = [](const ReplyFacts& facts) { return facts.well_formed ? 1.0 : 0.0; };
constexpr TaskReward::Term kLanguage = [](const ReplyFacts& facts) { return facts.LanguageConsistency(); };

struct Known {
  TaskKind task;
  const char* name;
  TaskReward::Term term;
};
constexpr Known kKnown[] = {
    {TaskKind::kPick, "accuracy", kAccuracy},    {TaskKind::kPick, "format", kFormat},
    {TaskKind::kPick, "language", kLanguage},    {TaskKind::kCode, "accuracy", kAccuracy},
    {TaskKind::kCode, "format", kFormat},        {TaskKind::kCode, "language", kLanguage},
    {TaskKind::kGeneral, "accuracy", kAccuracy},
};

Error Unknown(const char* what, std::string_view name, const std::vector<std::string>& candidates) {
  std::string message = std::string("unknown ") + what + " " + Quote(name);
  const std::string nearest = NearestName(name, candidates);
  if (!nearest.empty()) message += "; did you mean '" + nearest + "'?";
  message += " known:";
  for (const std::string& candidate : candidates) message += " " + candidate;
  return {ErrorCode::kUsage, message};
}

}  // namespace

std::vector<std::string> RewardSet::Names(std::string_view task) {
  std::vector<std::string> names;
  for (const Known& known : kKnown) {
    if (task == TaskName(known.task)) names.push_back(known.name);
  }
  return names;
}

Result<RewardSet> RewardSet::Make(std::string_view task, const std::vector<RewardWeight>& weights) {
  const std::vector<std::string> names = Names(task);
  if (names.empty()) return Unknown("reward task", task, {"pick", "code", "general"});
  if (weights.empty()) return Error{ErrorCode::kUsage, "no reward function given for task " + Quote(task)};
  RewardSet set;
  for (const RewardWeight& weight : weights) {
    std::shared_ptr<const RewardFunction> function;
    for (const Known& known : kKnown) {
      if (task == TaskName(known.task) && weight.name == known.name)
        function = std::make_shared<TaskReward>(known.task, known.term);
    }
    if (function == nullptr) return Unknown("reward function", weight.name, names);
    for (const RewardWeight& before : set.weights_) {
      if (before.name == weight.name)
        return Error{ErrorCode::kUsage, "reward function " + Quote(weight.name) + " given twice"};
    }
    set.weights_.push_back(weight);
    set.functions_.push_back(std::move(function));
  }
  return set;
}

Reward RewardSet::Score(const RewardQuery& query) const {
  Reward reward;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const std::optional<double> term = functions_[i]->Score(query);
    if (!term.has_value()) {
      reward.gradable = false;
      continue;
    }
    reward.terms.emplace_back(weights_[i].name, *term);
    reward.total += weights_[i].weight * *term;
  }
  if (!reward.gradable) reward.total = 0;
  return reward;
}

double SoftOverlongPenalty(int64_t tokens, int64_t max_tokens, int64_t buffer) {
  const int64_t over = tokens - (max_tokens - buffer);
  if (over <= 0) return 0;
  if (over >= buffer) return -1;
  return -static_cast<double>(over) / static_cast<double>(buffer);
}

}  // namespace r1
