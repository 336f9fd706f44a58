// Evaluation of models whose score is known beforehand: they learnt the replies to some held-out
// problems by heart, right ones or wrong.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/corpus_stream.h"
#include "eval/world_eval.h"
#include "train/trainer.h"
#include "world/pick.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

class KnownModels : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    SetFloatMode();
    tokenizer_ = new Tokenizer(TrainTokenizer(kSeed, 2000).value());
  }
  static void TearDownTestSuite() {
    delete tokenizer_;
    tokenizer_ = nullptr;
  }
  static Model Fresh(ThreadPool& pool) {
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = kernels::RoundUp(tokenizer_->size(), 32);
    Model model(config, true);
    model.Init(kSeed);
    model.Pack(pool);
    return model;
  }
  static EvalConfig Small() {
    EvalConfig c;
    c.problems = 4;
    c.samples = 16;
    c.max_completion_length = 40;
    c.general_problems = 0;
    c.verifier_probes = 0;
    c.traces = 3;
    return c;
  }
  // Trains on the replies to the first held-out problems until it knows them.
  static void LearnByHeart(Model& model, ThreadPool& pool, const std::vector<std::string>& replies) {
    OptimizerConfig optimizer;
    optimizer.learning_rate = 5e-3;
    optimizer.lr_scheduler_type = "constant";
    optimizer.warmup_steps = 10;
    optimizer.weight_decay = 0;
    Trainer trainer(model, optimizer, pool);
    std::vector<TokenDocument> documents;
    std::vector<TrainSequence> sequences;
    double targets = 0;
    for (size_t i = 0; i < replies.size(); ++i)
      documents.push_back(TokenizeExample(*tokenizer_, PromptText(HeldOutProblem(i)), replies[i]));
    for (const TokenDocument& d : documents) {
      sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from});
      targets += static_cast<double>(static_cast<int64_t>(d.tokens.size()) - d.loss_from);
    }
    double loss = 1;
    for (int step = 0; step < 400 && loss > 1e-3; ++step) {
      std::vector<double> sum(static_cast<size_t>(trainer.shards()));
      trainer.Step(step, 400, sequences, {}, [&](int shard, const MicroBatch& m, LogProbs& l) {
        for (int64_t i = 0; i < m.rows; ++i) {
          l.dlogp[i] = static_cast<float>(-1 / targets);
          sum[static_cast<size_t>(shard)] -= static_cast<double>(l.logp[i]) / targets;
        }
      });
      loss = 0;
      for (const double s : sum) loss += s;
    }
    ASSERT_LT(loss, 2e-3) << "the test's model did not learn its replies";
  }
  static std::string Numbers(const PickProblem& problem, int triple) {
    std::string text;
    for (const int at : kTriples[static_cast<size_t>(triple)])
      text += " " + std::to_string(problem.nums[static_cast<size_t>(at)]);
    return text;
  }
  static std::string SearchReply(const PickProblem& p, int triple) {
    const Triple& t = kTriples[static_cast<size_t>(triple)];
    const int a = p.nums[static_cast<size_t>(t[0])], b = p.nums[static_cast<size_t>(t[1])],
              c = p.nums[static_cast<size_t>(t[2])];
    const bool zh = p.chinese;
    const auto word = [&](Word w) { return " " + std::string(WordText(w, zh)); };
    return "<think>" + word(Word::kTry) + " " + std::to_string(a) + " + " + std::to_string(b) + " = " +
           std::to_string(a + b) + " + " + std::to_string(c) + " = " + std::to_string(a + b + c) + word(Word::kYes) +
           word(Word::kSo) + " </think> <answer>" + Numbers(p, triple) + " </answer><|end|>";
  }
  static Tokenizer* tokenizer_;
};
Tokenizer* KnownModels::tokenizer_ = nullptr;

TEST_F(KnownModels, AModelThatKnowsTheAnswersScoresFull) {
  ThreadPool pool(2);
  Model model = Fresh(pool);
  std::vector<std::string> replies;
  for (uint64_t i = 0; i < 4; ++i) replies.push_back(SearchReply(HeldOutProblem(i), SolvingTriple(HeldOutProblem(i))));
  LearnByHeart(model, pool, replies);
  EvalConfig config = Small();
  config.temperature = 0;
  const EvalResult e = EvaluateWorld(model, *tokenizer_, config, kSeed, pool).value();
  EXPECT_EQ(e.pass1.value, 1.0);
  EXPECT_EQ(e.pass1.standard_error, 0.0);
  EXPECT_EQ(e.pass1_interval.low, 1.0);
  ASSERT_EQ(e.pass_k.size(), 2u) << "4 and 16";
  EXPECT_EQ(e.cons_k[1].first, 16);
  EXPECT_EQ(e.cons_k[1].second.value, 1.0);
  EXPECT_EQ(e.format, 1.0);
  EXPECT_EQ(e.truncated, 0.0);
  EXPECT_EQ(e.tries, 1.0);
  EXPECT_EQ(e.think_share, 1.0);
  EXPECT_EQ(e.think_accuracy, 1.0);
  EXPECT_EQ(e.first_try_right, 1.0);
  EXPECT_EQ(e.sums_right, 1.0);
  EXPECT_EQ(e.language, 1.0);
  EXPECT_EQ(e.mixed, 0.0);
  EXPECT_EQ(e.reflection, 0.0);
  ASSERT_EQ(e.traces.size(), 3u);
  EXPECT_TRUE(e.traces[2].correct);
  double length = 0;
  for (const std::string& reply : replies) length += static_cast<double>(tokenizer_->Encode(reply).size()) / 4;
  EXPECT_DOUBLE_EQ(e.mean_tokens, length);
  EXPECT_EQ(e.tokens, static_cast<int64_t>(length * 4 * 16 + 0.5));
  EXPECT_EQ(e.general, -1);
  EXPECT_FALSE(EvalToJson(e).contains("general"));
}

TEST_F(KnownModels, AModelThatKnowsWrongAnswersScoresNothing) {
  ThreadPool pool(2);
  Model model = Fresh(pool);
  std::vector<std::string> replies;
  for (uint64_t i = 0; i < 4; ++i) {
    const PickProblem p = HeldOutProblem(i);
    const int right = SolvingTriple(p);
    // Two right, one wrong without thinking, one that thinks and is wrong.
    if (i < 2) replies.push_back("<answer>" + Numbers(p, right) + " </answer><|end|>");
    if (i == 2) replies.push_back("<answer>" + Numbers(p, (right + 1) % 10) + " </answer><|end|>");
    if (i == 3) replies.push_back(SearchReply(p, (right + 3) % 10));
  }
  LearnByHeart(model, pool, replies);
  EvalConfig config = Small();
  config.temperature = 0;
  const EvalResult e = EvaluateWorld(model, *tokenizer_, config, kSeed, pool).value();
  EXPECT_EQ(e.pass1.value, 0.5);
  EXPECT_GT(e.pass1.standard_error, 0.2) << "over problems, not over replies";
  EXPECT_EQ(e.pass_k[1].second.value, 0.5);
  EXPECT_EQ(e.cons_k[1].second.value, 0.5);
  EXPECT_EQ(e.format, 0.25) << "only the one that thinks";
  EXPECT_EQ(e.think_share, 0.25);
  EXPECT_EQ(e.think_accuracy, 0.0);
  EXPECT_EQ(e.first_try_right, 0.0);
  EXPECT_EQ(e.sums_right, 1.0) << "its sums are right, its verdict is not";
}

}  // namespace
}  // namespace r1
