#include "reward/rewards.h"

#include <gtest/gtest.h>

#include "world/pick.h"
#include "world/task.h"

namespace r1 {
namespace {

const PickProblem kProblem{{17, 2, 14, 9, 11}, 28, false};

TEST(Rewards, WeightedSumInOrder) {
  const RewardSet set = RewardSet::Make("pick", {{"accuracy", 1}, {"format", 0.2}, {"language", 0.5}}).value();
  const std::string prompt = PromptText(kProblem);
  const Reward all =
      set.Score({prompt, " <think> try 17 + 2 = 19 + 9 = 28 yes so</think><answer> 17 2 9</answer><|end|>", ""});
  EXPECT_TRUE(all.gradable);
  EXPECT_DOUBLE_EQ(all.total, 1.7);
  ASSERT_EQ(all.terms.size(), 3u);
  EXPECT_EQ(all.terms[1], (std::pair<std::string, double>{"format", 1.0}));
  const Reward half = set.Score({prompt, "<think> try 17 大</think><answer> 17 2 14</answer><|end|>", ""});
  EXPECT_DOUBLE_EQ(half.total, 0.2 + 0.5 * 0.5);
  EXPECT_DOUBLE_EQ(set.Score({prompt, "<answer> 17 2 9</answer><|end|>", ""}).total, 1);
  const Reward nothing = set.Score({prompt, "", ""});
  EXPECT_TRUE(nothing.gradable);
  EXPECT_DOUBLE_EQ(nothing.total, 0);
}

TEST(Rewards, BrokenPromptIsUngradableNotWrong) {
  const RewardSet set = RewardSet::Make("pick", {{"accuracy", 1}}).value();
  const Reward reward = set.Score({"pick 1 2 3", "<answer> 1 2 3 </answer>", ""});
  EXPECT_FALSE(reward.gradable);
  EXPECT_EQ(reward.terms.size(), 0u);
  EXPECT_DOUBLE_EQ(reward.total, 0);
}

TEST(Rewards, UnknownNamesAreErrorsWithTheNearest) {
  const auto message = [](const Result<RewardSet>& set) {
    EXPECT_FALSE(set.ok());
    EXPECT_EQ(set.error().code, ErrorCode::kUsage);
    return set.error().message;
  };
  EXPECT_NE(message(RewardSet::Make("pick", {{"acuracy", 1}})).find("did you mean 'accuracy'"), std::string::npos);
  EXPECT_NE(message(RewardSet::Make("pikc", {{"accuracy", 1}})).find("pick"), std::string::npos);
  EXPECT_NE(message(RewardSet::Make("pick", {{"format", 1}, {"format", 2}})).find("twice"), std::string::npos);
  EXPECT_NE(message(RewardSet::Make("pick", {})).find("no reward"), std::string::npos);
  EXPECT_EQ(RewardSet::Names("pick"), (std::vector<std::string>{"accuracy", "format", "language"}));
}

TEST(Rewards, CodeIsRunOnTheHiddenTest) {
  const RewardSet set = RewardSet::Make("code", {{"accuracy", 1}, {"format", 0.5}}).value();
  const TaskProblem problem = TrainTask(TaskKind::kCode, 1, 0);
  const std::string wrong = "<think> try so </think> <answer> 1 </answer><|end|>";
  const Reward reward = set.Score({problem.prompt, wrong, problem.solution});
  EXPECT_TRUE(reward.gradable);
  EXPECT_DOUBLE_EQ(reward.total, 0.5) << "well formed, and wrong";
  EXPECT_FALSE(set.Score({PromptText(kProblem), wrong, ""}).gradable) << "a prompt of another task";
  EXPECT_EQ(RewardSet::Names("code"), (std::vector<std::string>{"accuracy", "format", "language"}));
}

TEST(Rewards, GeneralIsTheExactAnswer) {
  const RewardSet set = RewardSet::Make("general", {{"accuracy", 1}}).value();
  const TaskProblem problem = TrainTask(TaskKind::kGeneral, 1, 0);
  EXPECT_EQ(set.Score({problem.prompt, " " + problem.solution + "<|end|>", problem.solution}).total, 1.0);
  EXPECT_EQ(set.Score({problem.prompt, " " + problem.solution, problem.solution}).total, 0.0) << "cut off";
}

TEST(SoftOverlongPenalty, HandComputed) {
  // Limit 20, cache 4: up to 16 nothing, 18 half, 20 and more -1.
  EXPECT_EQ(SoftOverlongPenalty(1, 20, 4), 0.0);
  EXPECT_EQ(SoftOverlongPenalty(16, 20, 4), 0.0);
  EXPECT_EQ(SoftOverlongPenalty(17, 20, 4), -0.25);
  EXPECT_EQ(SoftOverlongPenalty(18, 20, 4), -0.5);
  EXPECT_EQ(SoftOverlongPenalty(20, 20, 4), -1.0);
  EXPECT_EQ(SoftOverlongPenalty(25, 20, 4), -1.0);
}

}  // namespace
}  // namespace r1
