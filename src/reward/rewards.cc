#include "reward/rewards.h"

#include "base/fields.h"
#include "base/quote.h"
#include "world/reply.h"

namespace r1 {
namespace {

// A reward of the pick task: the problem is read back from the prompt.
class PickReward : public RewardFunction {
 public:
  using Term = double (*)(const ReplyFacts& facts);
  explicit PickReward(Term term) : term_(term) {}
  std::optional<double> Score(const RewardQuery& query) const override {
    const Result<PickProblem> problem = ParsePickPrompt(query.prompt);
    if (!problem.ok()) return std::nullopt;
    return term_(AnalyzeReply(*problem, query.reply));
  }

 private:
  Term term_;
};

struct Known {
  const char* task;
  const char* name;
  PickReward::Term term;
};
constexpr Known kKnown[] = {
    {"pick", "accuracy", [](const ReplyFacts& facts) { return facts.correct ? 1.0 : 0.0; }},
    {"pick", "format", [](const ReplyFacts& facts) { return facts.well_formed ? 1.0 : 0.0; }},
    {"pick", "language", [](const ReplyFacts& facts) { return facts.LanguageConsistency(); }},
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
    if (task == known.task) names.push_back(known.name);
  }
  return names;
}

Result<RewardSet> RewardSet::Make(std::string_view task, const std::vector<RewardWeight>& weights) {
  const std::vector<std::string> names = Names(task);
  if (names.empty()) return Unknown("reward task", task, {"pick"});
  if (weights.empty()) return Error{ErrorCode::kUsage, "no reward function given for task " + Quote(task)};
  RewardSet set;
  for (const RewardWeight& weight : weights) {
    std::shared_ptr<const RewardFunction> function;
    for (const Known& known : kKnown) {
      if (task == known.task && weight.name == known.name) function = std::make_shared<PickReward>(known.term);
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

}  // namespace r1
