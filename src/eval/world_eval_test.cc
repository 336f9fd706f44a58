// Evaluation of a model of random weights, whose replies are graded again here, one by one. Models
// whose score is known beforehand are in recipe/known_models_test.cc.
#include "eval/world_eval.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "infer/rollout.h"
#include "text/bpe_train.h"
#include "world/corpus.h"
#include "world/reply.h"
#include "world/verifier.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

class WorldEval : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    SetFloatMode();
    std::vector<std::string> texts;
    for (uint64_t i = 0; i < 2000; ++i) texts.push_back(DocumentAt(kSeed, i).prompt + DocumentAt(kSeed, i).reply);
    std::vector<AddedToken> markers;
    for (const std::string_view marker : kMarkers)
      markers.push_back({.id = -1,
                         .content = std::string(marker),
                         .lstrip = true,
                         .rstrip = false,
                         .special = marker.starts_with("<|")});
    tokenizer_ = new Tokenizer(TrainBpe(texts, markers, {.max_vocab = 4096, .min_count = 1}).value());
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
  static Tokenizer* tokenizer_;
};
Tokenizer* WorldEval::tokenizer_ = nullptr;

TEST_F(WorldEval, ResultsAreWhatTheRepliesSay) {
  ThreadPool pool(2), one(1);
  const Model model = Fresh(pool);
  EvalConfig config = Small();
  config.problems = 5;
  config.samples = 4;
  config.general_problems = 7;
  config.verifier_probes = 9;
  const EvalResult e = EvaluateWorld(model, *tokenizer_, config, 11, pool).value();
  std::vector<RolloutRequest> requests;
  for (uint64_t i = 0; i < 5; ++i)
    requests.push_back({tokenizer_->Encode(PromptText(HeldOutProblem(i))), static_cast<uint32_t>(i), 4});
  RolloutOptions options;
  options.max_new_tokens = 40;
  options.stop = {tokenizer_->IdOf(kEndMarker)};
  options.token_limit = tokenizer_->size();
  options.seed = 11;
  options.stream = Stream::kEval;
  RolloutEngine engine(model, one);
  const auto samples = engine.Run(requests, options).value();
  int64_t tokens = 0;
  double truncated = 0, right = 0;
  for (size_t p = 0; p < 5; ++p) {
    for (const Completion& c : samples[p]) {
      tokens += static_cast<int64_t>(c.tokens.size());
      truncated += c.finish == FinishReason::kLength;
      right += AnalyzeReply(HeldOutProblem(p), tokenizer_->Decode(c.tokens)).correct;
    }
    if (p < e.traces.size()) {
      EXPECT_EQ(e.traces[p].completion, tokenizer_->Decode(samples[p][0].tokens));
    }
  }
  EXPECT_EQ(e.tokens, tokens);
  EXPECT_DOUBLE_EQ(e.truncated, truncated / 20);
  EXPECT_DOUBLE_EQ(e.pass1.value, right / 20);
  EXPECT_GE(e.general, 0.0);
  // Verifier: the mean over probes of P(yes) among the three verdicts, for each kind.
  for (const bool kind : {false, true}) {
    double yes = 0;
    for (uint64_t i = 0; i < 9; ++i) {
      const VerifierProbe probe = VerifierProbeAt(i, kind);
      std::vector<int32_t> verdicts;
      for (const std::string& v : probe.verdicts) verdicts.push_back(tokenizer_->IdOf(v));
      const auto p = NextTokenProbabilities(model, one, {tokenizer_->Encode(probe.text)}, {verdicts})[0];
      yes += static_cast<double>(p[kYesVerdict]) /
             (static_cast<double>(p[0]) + static_cast<double>(p[1]) + static_cast<double>(p[2])) / 9;
    }
    EXPECT_NEAR(kind ? e.verifier_yes_given_right : e.verifier_yes_given_wrong, yes, 1e-12);
  }
  // Another thread count: the same result. Another seed: another.
  EvalResult again = EvaluateWorld(model, *tokenizer_, config, 11, one).value();
  EXPECT_EQ(EvalToJson(again), EvalToJson(e));
  EXPECT_EQ(TracesText(again), TracesText(e));
  EXPECT_NE(TracesText(EvaluateWorld(model, *tokenizer_, config, 12, one).value()), TracesText(e));
}

TEST_F(WorldEval, TextsAreWellFormed) {
  EvalResult e;
  e.problems = 2;
  e.samples = 4;
  e.pass1 = {0.25, 0.05};
  e.pass_k = {{4, {0.5, 0.1}}};
  e.cons_k = {{4, {0.75, 0.1}}};
  e.traces = {{0, "pick \"1\"", "<think> & \n 等等", true, 7}, {1, "b", "c", false, 1}};
  std::istringstream lines(TracesText(e));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const nlohmann::json j = ParseJson(line, "trace").value();
    EXPECT_EQ(j.at("completion"), e.traces[static_cast<size_t>(count)].completion);
    EXPECT_EQ(j.at("correct"), count == 0);
  }
  EXPECT_EQ(count, 2);
  const auto json = EvalToJson(e);
  EXPECT_EQ(json.at("pass@1"), 0.25);
  EXPECT_EQ(json.at("cons@4"), 0.75);
  EXPECT_EQ(json.at("pass@4_stderr"), 0.1);
  const std::string text = EvalText(e);
  EXPECT_NE(text.find("pass@1 25.0"), std::string::npos) << text;
  EXPECT_NE(text.find("cons@4 75.0"), std::string::npos) << text;
  EXPECT_EQ(text.find("general"), std::string::npos) << "not measured, not shown";
}

TEST_F(WorldEval, ImpossibleSettings) {
  const auto refused = [](auto set) {
    EvalConfig c;
    set(c);
    const Status status = ValidateEvalConfig(c, "here");
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(refused([](EvalConfig&) {}), "");
  EXPECT_NE(refused([](EvalConfig& c) { c.problems = 0; }).find("here: problems"), std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.problems = static_cast<int64_t>(HeldOutCount()) + 1; }).find("problems"),
            std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.samples = 0; }).find("samples"), std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.temperature = -1; }).find("temperature"), std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.top_p = 0; }).find("top_p"), std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.max_completion_length = 0; }).find("max_completion_length"),
            std::string::npos);
  EXPECT_NE(refused([](EvalConfig& c) { c.traces = -1; }).find("counts"), std::string::npos);
  ThreadPool pool(1);
  EvalConfig config = Small();
  config.max_completion_length = 100000;
  const auto too_long = EvaluateWorld(Fresh(pool), *tokenizer_, config, 1, pool);
  ASSERT_FALSE(too_long.ok());
  EXPECT_NE(too_long.error().message.find("positions"), std::string::npos);
}

}  // namespace
}  // namespace r1
