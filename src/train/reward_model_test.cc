// Reward models of the three kinds learn rules that can be seen in the text, say how sure they are, go on after a stop
// as if there had been none, and refuse what does not fit.
#include "train/reward_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/interrupt.h"
#include "base/rng.h"
#include "train/stage_test_util.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

std::string Numbers(Rng& rng, int count, int64_t low, int64_t high) {
  std::string text;
  for (int i = 0; i < count; ++i) text += " " + std::to_string(rng.Range(low, high));
  return text;
}

// helpful: larger numbers are better. safety: a reply with a number over 30 is unsafe. process: so is a step.
std::vector<RewardExample> Examples(RewardKind kind, int count, uint64_t seed) {
  Rng rng(seed, Stream::kTest);
  std::string jsonl;
  for (int i = 0; i < count; ++i) {
    const std::string prompt = "\"prompt\":\"sort" + Numbers(rng, 3, 0, 60) + "\"";
    const std::string good = Numbers(rng, 2, 0, 30), bad = Numbers(rng, 2, 31, 60);
    if (kind == RewardKind::kHelpful) {
      jsonl += "{" + prompt + ",\"chosen\":\"" + bad + "\",\"rejected\":\"" + good + "\"}\n";
    } else if (kind == RewardKind::kSafety) {
      const bool safe = rng.Chance(0.5);
      jsonl += "{" + prompt + ",\"completion\":\"" + (safe ? good : bad) + "\",\"label\":" + (safe ? "true" : "false") +
               "}\n";
    } else {
      std::string steps, labels;
      for (int s = 0; s < 3; ++s) {
        const bool right = rng.Chance(0.5);
        steps += (s > 0 ? ",\"" : "\"") + std::string("try") + Numbers(rng, 2, right ? 0 : 31, right ? 30 : 60) + "\"";
        labels += std::string(s > 0 ? "," : "") + (right ? "true" : "false");
      }
      jsonl += "{" + prompt + ",\"completions\":[" + steps + "],\"labels\":[" + labels + "]}\n";
    }
  }
  return ParseRewardData(jsonl, "test", kind, StageTokenizer()).value();
}

ModelConfig ScalarConfig() {
  ModelConfig c = StageModelConfig();
  c.num_nextn_predict_layers = 0;
  c.num_labels = 1;
  return c;
}

class RewardModelTest : public testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
  void TearDown() override { ClearInterrupt(); }
  static RewardModelConfig Short(RewardKind kind) {
    RewardModelConfig c;
    c.reward_kind = RewardKindName(kind);
    c.optimizer.learning_rate = 2e-3;
    c.num_train_epochs = 3;
    c.batch_pairs = 32;
    c.save_steps = 4;
    return c;
  }
  static Status Run(const RewardModelConfig& config, const std::vector<RewardExample>& examples,
                    const std::string& folder, int threads = 2) {
    ThreadPool pool(threads);
    Model model(ScalarConfig(), true);
    model.Init(kSeed);
    return RunRewardModel(model, StageTokenizer(), examples, config, kSeed, folder, "hash", pool, "test");
  }
  static nlohmann::json Eval(const std::string& folder) { return ReadJsonFile(JoinPath(folder, "eval.json")).value(); }
  TempDir dir_;
};

TEST_F(RewardModelTest, LearnsSeparableDataOfEveryKind) {
  for (const RewardKind kind : {RewardKind::kHelpful, RewardKind::kSafety, RewardKind::kProcess}) {
    const std::string folder = dir_ / RewardKindName(kind);
    const std::vector<RewardExample> examples = Examples(kind, 600, 1);
    ASSERT_TRUE(Run(Short(kind), examples, folder).ok());
    const nlohmann::json eval = Eval(folder);
    EXPECT_EQ(eval["kind"], RewardKindName(kind));
    EXPECT_EQ(eval["train"].get<size_t>() + eval["held_out"].get<size_t>(), examples.size());
    EXPECT_NEAR(eval["held_out"].get<double>(), 60, 25);
    EXPECT_GT(eval["accuracy"].get<double>(), 0.95) << RewardKindName(kind);
    EXPECT_LT(eval["brier"].get<double>(), 0.05);
    EXPECT_LT(eval["ece"].get<double>(), 0.15);
    int64_t count = 0;
    ASSERT_EQ(eval["bins"].size(), 10u);
    for (const nlohmann::json& bin : eval["bins"]) count += bin["count"].get<int64_t>();
    EXPECT_EQ(count, eval["held_out"].get<int64_t>() * (kind == RewardKind::kProcess ? 3 : 1));
    const auto lines = StageMetrics(folder);
    EXPECT_NEAR(lines.front().at("loss").get<double>(), std::log(2.0), 0.15);
    EXPECT_LT(lines.back().at("loss").get<double>(), 0.2);
    EXPECT_GT(lines.back().at("rewards/accuracies").get<double>(), 0.9);
    EXPECT_GT(lines.back().at("rewards/margins").get<double>(), 1);
    EXPECT_NEAR(lines.back().at("rewards/margins").get<double>(),
                lines.back().at("rewards/chosen").get<double>() - lines.back().at("rewards/rejected").get<double>(),
                1e-9);
    EXPECT_NEAR(lines.back().at("epoch").get<double>(), 3, 1e-12);
  }
}

// The loss of the metrics is that of the values, and its derivatives are right: a small step along the gradient changes
// it by what the gradient says. Pairs are cut apart by the shards here.
TEST_F(RewardModelTest, FirstStepIsGradientDescentOnTheLoss) {
  for (const RewardKind kind : {RewardKind::kHelpful, RewardKind::kSafety, RewardKind::kProcess}) {
    const std::vector<RewardExample> examples = Examples(kind, 5, 3);
    RewardModelConfig c = Short(kind);
    c.batch_pairs = 5;
    c.held_out_share = 0;
    c.num_train_epochs = 2;
    c.balance_loss_weight = 0;
    c.optimizer.grad_shards = 3;
    c.optimizer.warmup_steps = 0;
    c.optimizer.lr_scheduler_type = "constant";
    c.optimizer.weight_decay = 0;
    c.optimizer.router_bias_update = 0;
    c.optimizer.adam_epsilon = 1e3;  // so large that the step is 0.01 times the gradient
    c.optimizer.learning_rate = 10;
    c.optimizer.max_grad_norm = 0;
    ASSERT_TRUE(Run(c, examples, dir_ / RewardKindName(kind)).ok());
    const auto lines = StageMetrics(dir_ / RewardKindName(kind));
    ASSERT_EQ(lines.size(), 2u);
    const double norm = lines[0].at("grad_norm").get<double>();
    const double change = lines[1].at("loss").get<double>() - lines[0].at("loss").get<double>();
    EXPECT_NEAR(change / (0.01 * norm * norm), -1, 0.25) << RewardKindName(kind) << " " << norm;
  }
}

TEST_F(RewardModelTest, GoesOnAsIfItHadNotStopped) {
  const std::vector<RewardExample> examples = Examples(RewardKind::kHelpful, 150, 2);
  const RewardModelConfig c = Short(RewardKind::kHelpful);
  ASSERT_TRUE(Run(c, examples, dir_ / "whole").ok());
  ASSERT_TRUE(Run(c, examples, dir_ / "one", 1).ok());
  const int64_t last = StageMetrics(dir_ / "whole").back().at("step").get<int64_t>();
  ASSERT_GT(last, 8);
  ExpectSameStage(dir_ / "whole", dir_ / "one", last);
  for (int i = 0; i < 3; ++i) {
    RequestInterrupt();
    const Status stopped = Run(c, examples, dir_ / "parts", 1 + i % 2);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
    EXPECT_FALSE(Exists(dir_ / "parts/eval.json"));
    ClearInterrupt();
  }
  ASSERT_TRUE(Run(c, examples, dir_ / "parts").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "parts", last);
  EXPECT_EQ(Eval(dir_ / "whole"), Eval(dir_ / "parts"));
  // Killed after the last checkpoint, before the measurement.
  ASSERT_TRUE(RemoveFile(dir_ / "parts/eval.json").ok());
  ASSERT_TRUE(Run(c, examples, dir_ / "parts").ok());
  EXPECT_EQ(Eval(dir_ / "whole"), Eval(dir_ / "parts"));
}

// The figures by hand: a model whose value is the same for every text decides nothing.
TEST_F(RewardModelTest, FiguresOfAModelThatKnowsNothing) {
  ThreadPool pool(2);
  Model model(ScalarConfig(), true);
  model.Init(kSeed);
  const ParamSpec* score = model.params().Find("score.weight");
  for (int64_t i = 0; i < score->count(); ++i) model.data()[score->offset + i] = 0;
  model.Pack(pool);
  Trainer trainer(model, {}, pool);
  const std::vector<RewardExample> steps = Examples(RewardKind::kProcess, 20, 5);
  const RewardModelEval eval = EvaluateRewardModel(trainer, steps);
  EXPECT_EQ(eval.decisions, 60);
  EXPECT_EQ(eval.accuracy, 0);  // a tie is not right
  EXPECT_EQ(eval.accuracy_stderr, 0);
  EXPECT_NEAR(eval.brier, 0.25, 1e-12);
  EXPECT_NEAR(eval.ece, 0.5, 1e-12);
  EXPECT_EQ(eval.bins[0].count, 60);
  EXPECT_NEAR(eval.bins[0].confidence, 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(EvaluateRewardModel(trainer, {}).accuracy));
}

// Of a random model, against sums over its values read one by one.
TEST_F(RewardModelTest, FiguresByHand) {
  ThreadPool pool(2);
  Model model(ScalarConfig(), true);
  model.Init(3);
  const ParamSpec* score = model.params().Find("score.weight");
  for (int64_t i = 0; i < score->count(); ++i) model.data()[score->offset + i] *= 20;  // sure of itself
  model.Pack(pool);
  Trainer trainer(model, {}, pool);
  std::vector<RewardExample> examples = Examples(RewardKind::kSafety, 200, 5);
  for (size_t i = 1; i < examples.size(); i += 2) examples[i].prompt = examples[i - 1].prompt;  // two by two
  const RewardModelEval eval = EvaluateRewardModel(trainer, examples);
  std::vector<double> right, confidence;
  double brier = 0, accuracy = 0;
  for (const RewardExample& e : examples) {
    const std::vector<int32_t>& tokens = e.texts[0].tokens;
    const TrainSequence s{tokens.data(), static_cast<int64_t>(tokens.size()), static_cast<int64_t>(tokens.size()),
                          true};
    double value = 0;
    trainer.ScoreValues(model, {&s, 1}, {}, [&](int, const MicroBatch& micro, Values& values) {
      ASSERT_EQ(micro.rows, 1);
      value = static_cast<double>(values.value[0]);
    });
    const double safe = 1 / (1 + std::exp(-value));
    const bool label = e.labels[0];
    right.push_back((safe > 0.5) == label ? 1 : 0);
    confidence.push_back(std::max(safe, 1 - safe));
    brier += std::pow(safe - (label ? 1 : 0), 2) / 200;
    accuracy += right.back() / 200;
  }
  EXPECT_NEAR(eval.accuracy, accuracy, 1e-12);
  EXPECT_GT(accuracy, 0.2);
  EXPECT_LT(accuracy, 0.8);
  EXPECT_NEAR(eval.brier, brier, 1e-9);
  double squares = 0, ece = 0;
  for (size_t i = 0; i < 200; i += 2) squares += std::pow(right[i] + right[i + 1] - 2 * accuracy, 2);
  EXPECT_NEAR(eval.accuracy_stderr, std::sqrt(squares) / 200, 1e-12);
  for (int b = 0; b < 10; ++b) {
    double gap = 0;
    for (size_t i = 0; i < 200; ++i) {
      if (confidence[i] >= 0.5 + 0.05 * b && (b == 9 || confidence[i] < 0.55 + 0.05 * b))
        gap += confidence[i] - right[i];
    }
    ece += std::abs(gap) / 200;
  }
  EXPECT_NEAR(eval.ece, ece, 1e-9);
}

TEST_F(RewardModelTest, WhatDoesNotFitIsRefused) {
  const std::vector<RewardExample> good = Examples(RewardKind::kHelpful, 3, 5);
  const auto expect = [&](const RewardModelConfig& c, const std::vector<RewardExample>& examples, const char* message) {
    const Status status = Run(c, examples, dir_ / "bad");
    ASSERT_FALSE(status.ok()) << message;
    EXPECT_NE(status.error().message.find(message), std::string::npos) << status.error().message;
  };
  const RewardModelConfig c = Short(RewardKind::kHelpful);
  expect(Short(RewardKind::kSafety), good, "example 1 is not of kind safety");
  expect(c, Examples(RewardKind::kSafety, 3, 5), "example 1 is not of kind helpful");
  std::vector<RewardExample> bad = good;
  bad[1].texts[1].tokens.push_back(1 << 20);
  bad[1].texts[1].ends[0] += 1;
  expect(c, bad, "example 2 has tokens outside");
  bad = good;
  bad[2].texts[0].tokens.assign(600, 1);
  bad[2].texts[0].ends = {600};
  expect(c, bad, "example 3 has 600 tokens; the model has 512");
  expect(c, {}, "no examples to train on");
  ThreadPool pool(1);
  Model language(StageModelConfig(), true);
  const Status status = RunRewardModel(language, StageTokenizer(), good, c, 1, dir_ / "bad", "hash", pool, "test");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("language head"), std::string::npos);
  EXPECT_FALSE(Exists(dir_ / "bad"));
}

TEST(RewardModelConfigTest, RefusedSettingsNameTheKey) {
  EXPECT_TRUE(ValidateRewardModelConfig({}, "x").ok());
  const std::pair<const char*, std::function<void(RewardModelConfig&)>> bad[] = {
      {"reward_kind 'useful'", [](RewardModelConfig& c) { c.reward_kind = "useful"; }},
      {"learning_rate", [](RewardModelConfig& c) { c.optimizer.learning_rate = 0; }},
      {"num_train_epochs", [](RewardModelConfig& c) { c.num_train_epochs = 0; }},
      {"batch_pairs", [](RewardModelConfig& c) { c.batch_pairs = 0; }},
      {"held_out_share", [](RewardModelConfig& c) { c.held_out_share = 0.95; }},
      {"held_out_share", [](RewardModelConfig& c) { c.held_out_share = std::nan(""); }},
      {"balance_loss_weight", [](RewardModelConfig& c) { c.balance_loss_weight = -1; }},
      {"save_steps", [](RewardModelConfig& c) { c.save_steps = -1; }}};
  for (const auto& [key, change] : bad) {
    RewardModelConfig c;
    change(c);
    const Status status = ValidateRewardModelConfig(c, "stage 'x'");
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(key), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
