// Rewards of mixed batches: the terms of each kind, and the texts the reward models read.
#include "rl/grade.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/corpus_stream.h"
#include "data/preference_data.h"
#include "infer/score.h"
#include "rl/sampling.h"
#include "world/words.h"

namespace r1 {
namespace {

class GradeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    SetFloatMode();
    tokenizer_ = new Tokenizer(TrainTokenizer(3, 2000, CorpusNamed("wide").value()).value());
  }
  static void TearDownTestSuite() {
    delete tokenizer_;
    tokenizer_ = nullptr;
  }
  static Model Judge(ThreadPool& pool, uint64_t seed) {
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = kernels::RoundUp(tokenizer_->size(), 32);
    config.num_nextn_predict_layers = 0;
    config.num_labels = 1;
    Model model(config, false);
    model.Init(seed);
    model.Pack(pool);
    return model;
  }
  static Rollout ReplyTo(const TaskProblem& problem, size_t prompt, const std::string& text) {
    Rollout r;
    r.prompt = prompt;
    r.tokens = tokenizer_->Encode(problem.prompt);
    r.prompt_tokens = static_cast<int64_t>(r.tokens.size());
    r.completion.tokens = tokenizer_->Encode(text);
    r.completion.finish = text.ends_with(kEndMarker) ? FinishReason::kStop : FinishReason::kLength;
    r.tokens.insert(r.tokens.end(), r.completion.tokens.begin(), r.completion.tokens.end());
    r.reply = tokenizer_->Decode(r.completion.tokens);
    return r;
  }
  static double Term(const Rollout& r, const std::string& name) {
    for (const auto& [term, value] : r.reward.terms) {
      if (term == name) return value;
    }
    return -99;
  }
  static Tokenizer* tokenizer_;
};
Tokenizer* GradeTest::tokenizer_ = nullptr;

TEST_F(GradeTest, TermsOfTheKindsOwn) {
  ThreadPool pool(2);
  const Model helpful = Judge(pool, 1), harmless = Judge(pool, 2);
  RlConfig config;
  config.task = "pick,code,general,helpful,harmless";
  config.reward_language = 0.5;
  config.reward_helpful = 2;
  config.reward_harmless = 3;
  const Grader grader =
      Grader::Make(config, 0, ParseTaskMix(config.task).value(), *tokenizer_, &helpful, &harmless).value();
  std::vector<TaskProblem> problems;
  for (int kind = 0; kind < kTaskKinds; ++kind) {
    uint64_t index = 0;  // an English one
    while (TrainTask(static_cast<TaskKind>(kind), 1, index).chinese) ++index;
    problems.push_back(TrainTask(static_cast<TaskKind>(kind), 1, index));
  }
  std::vector<Rollout> replies;
  for (size_t p = 0; p < problems.size(); ++p) {
    replies.push_back(ReplyTo(problems[p], p, " <think> try so </think> red cat<|end|>"));
    replies.push_back(ReplyTo(problems[p], p, " red cat<|end|>"));
    replies.push_back(ReplyTo(problems[p], p, " <think> try so </think> red cat"));
    replies.push_back(ReplyTo(problems[p], p, " <think> try so<|end|>"));
  }
  replies.push_back(ReplyTo(problems[2], 2, " " + problems[2].solution + "<|end|>"));
  grader.Grade(problems, replies, pool);

  for (size_t i = 0; i < 8; ++i) {  // pick and code
    ASSERT_EQ(replies[i].reward.terms.size(), 3u);
    EXPECT_EQ(Term(replies[i], "accuracy"), 0.0);
    EXPECT_EQ(Term(replies[i], "language"), i % 4 == 1 ? 0.0 : 1.0);
    EXPECT_EQ(replies[i].reward.total, i % 4 == 1 ? 0.0 : 0.5);
  }
  for (size_t i = 8; i < 12; ++i) EXPECT_EQ(replies[i].reward.terms.size(), 1u);
  EXPECT_EQ(replies[20].reward.total, 1.0) << "the exact answer";

  const auto sigmoid_of = [&](const Model& model, std::vector<int32_t> text) {
    return 1 / (1 + std::exp(-ScoreTexts(model, pool, {std::move(text)})[0]));
  };
  for (size_t i = 12; i < 20; ++i) {
    const bool thinks = i % 4 != 1;
    EXPECT_EQ(Term(replies[i], "language"), thinks ? 1.0 : -99.0) << "only where there is thinking";
    EXPECT_EQ(Term(replies[i], "accuracy"), -99.0);
    const bool is_helpful = i < 16;
    const double score = Term(replies[i], is_helpful ? "helpful" : "harmless");
    EXPECT_NEAR(replies[i].reward.total, (is_helpful ? 2 : 3) * score + (thinks ? 0.5 : 0.0), 1e-12);
    EXPECT_EQ(Term(replies[i], is_helpful ? "harmless" : "helpful"), -99.0);
  }
  // Helpful: the summary is judged, however it was thought out; without one there is nothing to judge.
  const auto pair = ParseRewardData(
      "{\"prompt\":\"" + UserContent(problems[3].prompt) + "\",\"chosen\":\"red cat\",\"rejected\":\"red\"}", "test",
      RewardKind::kHelpful, *tokenizer_);
  ASSERT_TRUE(pair.ok()) << pair.error().message;
  const double want = sigmoid_of(helpful, (*pair)[0].texts[0].tokens);
  EXPECT_EQ(Term(replies[12], "helpful"), want) << "the very text the model is trained on";
  EXPECT_EQ(Term(replies[13], "helpful"), want);
  EXPECT_EQ(Term(replies[14], "helpful"), 0.0) << "cut off";
  EXPECT_EQ(Term(replies[15], "helpful"), 0.0) << "thinking never closed";
  // Harmless: the whole reply, thinking included.
  const auto example = ParseRewardData("{\"prompt\":\"" + UserContent(problems[4].prompt) +
                                           "\",\"completion\":\"<think> try so </think> red cat\",\"label\":true}",
                                       "test", RewardKind::kSafety, *tokenizer_);
  ASSERT_TRUE(example.ok()) << example.error().message;
  EXPECT_EQ(Term(replies[16], "harmless"), sigmoid_of(harmless, (*example)[0].texts[0].tokens));
  EXPECT_NE(Term(replies[17], "harmless"), Term(replies[16], "harmless"));
  EXPECT_EQ(Term(replies[18], "harmless"), Term(replies[16], "harmless")) << "judged as if it ended there";
}

TEST_F(GradeTest, OverlongPenaltyAddsToEveryKind) {
  ThreadPool pool(1);
  RlConfig config;
  config.max_completion_length = 10;
  const std::vector<TaskProblem> problems = {TrainTask(TaskKind::kPick, 1, 0)};
  const Grader grader = Grader::Make(config, 4, ParseTaskMix("pick").value(), *tokenizer_, nullptr, nullptr).value();
  std::vector<Rollout> replies = {ReplyTo(problems[0], 0, " 1 1 1 1 1<|end|>"),
                                  ReplyTo(problems[0], 0, " 1 1 1 1 1 1 1<|end|>"),
                                  ReplyTo(problems[0], 0, " 1 1 1 1 1 1 1 1 1 1")};
  ASSERT_EQ(replies[0].length(), 6u);
  grader.Grade(problems, replies, pool);
  EXPECT_EQ(replies[0].reward.total, 0.0);
  EXPECT_EQ(replies[1].reward.total, -0.5);
  EXPECT_EQ(replies[2].reward.total, -1.0);
  EXPECT_EQ(Term(replies[1], "overlong"), -0.5);
}

TEST(HasSignal, NeitherAllRightNorAllWrong) {
  const TaskProblem pick = TrainTask(TaskKind::kPick, 1, 0), open = TrainTask(TaskKind::kHelpful, 1, 0);
  std::vector<Rollout> group(3);
  const auto set = [&](std::vector<int> correct, std::vector<double> reward) {
    for (size_t i = 0; i < 3; ++i) {
      group[i].facts.correct = correct[i] == 1;
      group[i].reward.gradable = correct[i] >= 0;
      group[i].reward.total = reward[i];
    }
  };
  set({0, 0, 0}, {0.2, 0, 0});
  EXPECT_FALSE(HasSignal(pick, group)) << "format alone is no signal";
  EXPECT_TRUE(HasSignal(open, group));
  set({1, 1, 1}, {1, 1, 1});
  EXPECT_FALSE(HasSignal(pick, group));
  EXPECT_FALSE(HasSignal(open, group));
  set({1, 0, 1}, {1, 0, 1});
  EXPECT_TRUE(HasSignal(pick, group));
  set({1, -1, 1}, {1, 0, 1});
  EXPECT_FALSE(HasSignal(pick, group)) << "what cannot be graded does not count as wrong";
  set({-1, -1, -1}, {0, 0, 0});
  EXPECT_FALSE(HasSignal(pick, group));
}

}  // namespace
}  // namespace r1
