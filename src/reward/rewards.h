// Rule rewards: functions of text only. A reward function has a name, sees one reply with its prompt and the dataset's
// reference solution, and gives a term in [0, 1], or nothing when the reply cannot be graded by it (a broken prompt or
// reference; never a merely wrong reply). The total is the weighted sum of the terms, in the order of the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace r1 {

struct RewardQuery {
  std::string_view prompt;    // as the model saw it, or the question alone
  std::string_view reply;     // including <|end|> if the model got there
  std::string_view solution;  // the dataset's reference (code: the hidden test); empty: what the prompt itself says
};

class RewardFunction {
 public:
  virtual ~RewardFunction() = default;
  virtual std::optional<double> Score(const RewardQuery& query) const = 0;
};

struct Reward {
  double total = 0;                                   // 0 when not gradable
  std::vector<std::pair<std::string, double>> terms;  // unweighted, in order of the weights
  bool gradable = true;                               // false: leave the reply out of baseline and statistics
};

struct RewardWeight {
  std::string name;
  double weight = 1;
};

// A task's reward: named functions with weights.
class RewardSet {
 public:
  // Tasks "pick" and "code" have accuracy, format and language (world/reply.h, world/task.h), "general" has accuracy.
  // An unknown task or name is error kUsage with the nearest one.
  static Result<RewardSet> Make(std::string_view task, const std::vector<RewardWeight>& weights);
  // Names of a task's functions; empty for an unknown task.
  static std::vector<std::string> Names(std::string_view task);
  Reward Score(const RewardQuery& query) const;
  const std::vector<RewardWeight>& weights() const { return weights_; }

 private:
  std::vector<RewardWeight> weights_;
  std::vector<std::shared_ptr<const RewardFunction>> functions_;
};

// The soft overlong punishment of DAPO (Yu et al. 2025): 0 up to max - buffer tokens, then falling to -1 at max tokens:
// ((max - buffer) - tokens) / buffer.
double SoftOverlongPenalty(int64_t tokens, int64_t max_tokens, int64_t buffer);

}  // namespace r1
