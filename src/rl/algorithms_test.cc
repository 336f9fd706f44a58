// The loop under every algorithm, on a base model trained for seconds: it goes on from a checkpoint as if never
// stopped, no thread count shows, and each algorithm's own parts do what they say.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "rl/algorithm.h"
#include "rl/loop_test_util.h"

namespace r1 {
namespace {

class RlAlgorithms : public LoopTest {
 protected:
  static RlConfig Tiny(const std::string& algorithm) {
    RlConfig c = Small();
    c.loss.algorithm = algorithm;
    c.max_steps = 3;
    c.num_prompts = 4;
    c.num_generations = 4;
    c.save_steps = 1;
    c.save_total_limit = 0;
    return c;
  }
  // A model with a scalar head that no one trained: its rewards are arbitrary, and differ.
  static Model RandomJudge(ThreadPool& pool, uint64_t seed) {
    Model model = LoadBody(World().base, 1, pool, seed).value();
    for (int64_t i = 0; i < model.config().hidden_size; ++i)
      model.data()[model.params().Find("score.weight")->offset + i] *= 10;
    model.Pack(pool);
    return model;
  }
  // Stops after each of the steps and goes on with another number of threads.
  static void RunInParts(const RlConfig& config, const std::string& folder, const RlHooks& hooks = {}) {
    for (int64_t step = 1; step < config.max_steps; ++step) {
      RlConfig part = config;
      part.max_steps = step;
      ASSERT_TRUE(Run(part, folder, 1 + static_cast<int>(step % 3), kLoopSeed, kLoopHash, hooks).ok());
    }
    ASSERT_TRUE(Run(config, folder, 2, kLoopSeed, kLoopHash, hooks).ok());
  }
};

TEST_F(RlAlgorithms, EachGoesOnToTheSameBytesAndDiffersFromTheOthers) {
  std::set<std::string> weights;
  for (const std::string& name : AlgorithmNames()) {
    RlConfig config = Tiny(name);
    config.dynamic_sampling = "off";  // the base model gets nothing right
    config.num_iterations = 2;        // the first pass is on the policy, where the kinds of ratio are the same
    config.optimizer.learning_rate = 3e-3;
    ASSERT_TRUE(Run(config, dir_ / name).ok()) << name;
    RunInParts(config, dir_ / (name + "_parts"));
    ExpectSameRun(dir_ / name, dir_ / (name + "_parts"), 3);
    const auto lines = MetricsOf(dir_ / name);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(Sum(lines, "logp_mismatch/tokens"), 0.0) << name;
    EXPECT_GT(Sum(lines, "grad_norm"), 0.0) << name;
    EXPECT_TRUE(weights.insert(FileOf(dir_ / name, 3, "model.safetensors")).second) << name << " ends like another";
  }
}

TEST_F(RlAlgorithms, PpoKeepsItsValueModel) {
  RlConfig config = Tiny("ppo");
  config.loss.beta = 0.05;
  config.max_steps = 6;
  config.num_iterations = 2;
  config.mini_batches = 2;
  config.gamma = 0.99;
  config.lam = 0.9;
  config.num_generations = 1;  // no group is needed
  config.num_prompts = 16;
  config.critic_learning_rate = 3e-3;
  config.critic_warmup_steps = 2;
  config.save_steps = 2;
  ASSERT_TRUE(Run(config, dir_ / "whole").ok());
  RunInParts(config, dir_ / "parts");
  ExpectSameRun(dir_ / "whole", dir_ / "parts", 6,
                {"value.safetensors", "value_optimizer.safetensors", "reference.safetensors"});
  const auto lines = MetricsOf(dir_ / "whole");
  ASSERT_EQ(lines.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_GT(lines[i].at("value_loss").get<double>(), 0.0);
    EXPECT_TRUE(lines[i].contains("explained_variance"));
    EXPECT_EQ(lines[i].at("trained_tokens").get<double>() > 0, i >= 2) << "warm-up: the policy waits";
  }
  EXPECT_EQ(FileOf(dir_ / "whole", 2, "model.safetensors"),
            ReadFile(JoinPath(World().base, "model.safetensors"), int64_t{1} << 30).value());
  EXPECT_NE(FileOf(dir_ / "whole", 2, "value.safetensors"), FileOf(dir_ / "whole", 4, "value.safetensors"));
  EXPECT_LT(lines[5].at("value_loss").get<double>(), lines[0].at("value_loss").get<double>());
  const nlohmann::json state = ParseJson(FileOf(dir_ / "whole", 6, "trainer_state.json"), "state").value();
  EXPECT_EQ(state.at("value_steps"), 24);
  EXPECT_EQ(state.at("optimizer_steps"), 16);
}

TEST_F(RlAlgorithms, DynamicSamplingGoesOnUntilTheBatchIsFull) {
  ThreadPool pool(1);
  const Model judge = RandomJudge(pool, 3);
  RlHooks hooks;
  hooks.harmless = &judge;
  // Pick groups are all wrong and dropped; judged replies nearly always differ.
  RlConfig config = Tiny("dapo");
  config.task = "pick:0.5,harmless:0.5";
  config.reward_accuracy = 0;
  config.max_sampling_rounds = 6;
  ASSERT_TRUE(Run(config, dir_ / "whole", 2, kLoopSeed, kLoopHash, hooks).ok());
  RunInParts(config, dir_ / "parts", hooks);
  ExpectSameRun(dir_ / "whole", dir_ / "parts", 3);
  const auto lines = MetricsOf(dir_ / "whole");
  double prompts = 0;
  for (const auto& line : lines) {
    const double kept = line.at("sampling/kept_frac").get<double>();
    EXPECT_GT(line.at("sampling/rounds").get<double>(), 1);
    EXPECT_GT(kept, 0.3);
    EXPECT_LT(kept, 0.9);
    EXPECT_GE(4 / kept, 5) << "all four wanted groups were found";
    prompts += std::round(4 / kept);
  }
  const nlohmann::json state = ParseJson(FileOf(dir_ / "whole", 3, "trainer_state.json"), "state").value();
  EXPECT_EQ(state.at("cursor").get<double>(), prompts) << "the cursor moves by what was used";

  std::ifstream file(JoinPath(dir_ / "whole", "completions/step_3.jsonl"));
  int kept = 0, count = 0;
  std::map<int64_t, std::set<double>> rewards_of_judged;
  std::map<int64_t, bool> kept_judged;
  for (std::string text; std::getline(file, text); ++count) {
    const nlohmann::json line = ParseJson(text, "completion").value();
    const int64_t prompt = line.at("prompt_id").get<int64_t>();
    const bool judged = line.at("task") == "harmless", is_kept = line.at("kept").get<bool>();
    if (judged) {
      rewards_of_judged[prompt].insert(line.at("reward").get<double>());
      kept_judged[prompt] = is_kept;
    } else {
      EXPECT_FALSE(is_kept) << "all wrong";
    }
    kept += is_kept ? 1 : 0;
    EXPECT_EQ(line.at("advantage") != 0.0, is_kept);
    EXPECT_EQ(line.at("rewards").contains("harmless"), judged);
    EXPECT_EQ(line.at("rewards").contains("accuracy"), !judged);
    EXPECT_LE(line.at("rewards").at("overlong"), 0.0);
  }
  for (const auto& [prompt, rewards] : rewards_of_judged) EXPECT_EQ(rewards.size() > 1, kept_judged[prompt]);
  EXPECT_EQ(kept, 16);
  EXPECT_EQ(count, std::round(4 / lines[2].at("sampling/kept_frac").get<double>()) * 4);

  // Nothing with a signal: the step has nothing to learn from and goes on.
  config.task = "pick";
  config.max_steps = 1;
  config.max_sampling_rounds = 2;
  ASSERT_TRUE(Run(config, dir_ / "nothing").ok());
  EXPECT_EQ(MetricsOf(dir_ / "nothing")[0].at("sampling/rounds"), 2.0);
  EXPECT_EQ(MetricsOf(dir_ / "nothing")[0].at("trained_tokens"), 0.0);
}

TEST_F(RlAlgorithms, ReferenceMovesPartOfTheWay) {
  RlConfig config = Tiny("grpo");
  config.loss.beta = 0.1;
  config.ref_sync_steps = 2;
  config.ref_model_mixup_alpha = 0.25;
  config.max_steps = 2;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  ThreadPool pool(1);
  const Model base = LoadModel(World().base, false, pool).value(),
              policy = LoadModel(dir_ / "a/checkpoint-2", false, pool).value();
  Model reference(policy.config(), false);
  ASSERT_TRUE(ReadFlat(dir_ / "a/checkpoint-2/reference.safetensors", policy.params(), {{"", reference.data()}}).ok());
  int64_t moved = 0;
  for (const ParamSpec& spec : policy.params().specs) {
    for (int64_t i = spec.offset; i < spec.offset + spec.count(); ++i) {
      const double want = 0.25 * static_cast<double>(policy.data()[i]) + 0.75 * static_cast<double>(base.data()[i]);
      ASSERT_EQ(reference.data()[i], static_cast<float>(want)) << spec.name;
      moved += policy.data()[i] != base.data()[i] ? 1 : 0;
    }
  }
  EXPECT_GT(moved, 1000);
  config.max_steps = 5;
  ASSERT_TRUE(Run(config, dir_ / "whole").ok());
  RunInParts(config, dir_ / "parts");
  ExpectSameRun(dir_ / "whole", dir_ / "parts", 5, {"reference.safetensors"});
}

TEST_F(RlAlgorithms, BudgetOfTokensEndsTheStage) {
  RlConfig config = Tiny("grpo");
  config.max_steps = 50;
  config.optimizer.lr_scheduler_type = "cosine";
  config.max_sampled_tokens = 1000;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const auto lines = MetricsOf(dir_ / "a");
  ASSERT_GT(lines.size(), 2u);
  ASSERT_LT(lines.size(), 20u);
  EXPECT_GE(lines.back().at("num_tokens"), 1000);
  EXPECT_LT(lines[lines.size() - 2].at("num_tokens"), 1000);
  EXPECT_LT(lines.back().at("learning_rate").get<double>(), 0.6e-3) << "the cosine follows the tokens";
  const std::string before = FileOf(dir_ / "a", static_cast<int64_t>(lines.size()), "manifest.json");
  ASSERT_TRUE(Run(config, dir_ / "a").ok()) << "done already";
  EXPECT_EQ(MetricsOf(dir_ / "a").size(), lines.size());
  EXPECT_EQ(FileOf(dir_ / "a", static_cast<int64_t>(lines.size()), "manifest.json"), before);
  RlConfig part = config;
  part.max_sampled_tokens = 1;
  ASSERT_TRUE(Run(part, dir_ / "b").ok());
  EXPECT_EQ(MetricsOf(dir_ / "b").size(), 1u) << "a stage has at least one step";
}

TEST_F(RlAlgorithms, EvaluationsAreInTheStepsLine) {
  RlConfig config = Tiny("grpo");
  config.max_steps = 5;
  config.eval_steps = 2;
  std::vector<int64_t> steps;
  RlHooks hooks;
  hooks.evaluate = [&](const Model&, int64_t step, Metrics* metrics) -> Status {
    steps.push_back(step);
    metrics->emplace_back("eval/pass@1", 0.25 * static_cast<double>(step));
    return {};
  };
  ASSERT_TRUE(Run(config, dir_ / "a", 2, kLoopSeed, kLoopHash, hooks).ok());
  EXPECT_EQ(steps, (std::vector<int64_t>{2, 4, 5}));
  const auto lines = MetricsOf(dir_ / "a");
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(lines[i].contains("eval/pass@1"), i == 1 || i == 3 || i == 4) << i;
  EXPECT_EQ(lines[3].at("eval/pass@1"), 1.0);
  hooks.evaluate = [](const Model&, int64_t, Metrics*) -> Status { return Error{ErrorCode::kIo, "no problems"}; };
  const Status failed = Run(config, dir_ / "b", 2, kLoopSeed, kLoopHash, hooks);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "no problems");
}

// The sampler's log-probabilities are the trainer's, so that every weight is exactly 1 and the run the same as without.
TEST_F(RlAlgorithms, ImportanceSamplingOfExactRolloutsChangesNothing) {
  RlConfig config = Tiny("grpo");
  config.num_iterations = 2;
  ASSERT_TRUE(Run(config, dir_ / "plain").ok());
  for (const char* kind : {"token", "sequence_mask"}) {
    config.loss.importance_sampling = kind;
    config.loss.importance_sampling_cap = 1;
    ASSERT_TRUE(Run(config, dir_ / kind).ok());
    EXPECT_EQ(FileOf(dir_ / kind, 3, "model.safetensors"), FileOf(dir_ / "plain", 3, "model.safetensors")) << kind;
    for (const auto& line : MetricsOf(dir_ / kind)) {
      EXPECT_EQ(line.at("sampling/is_ratio_mean"), 1.0);
      EXPECT_EQ(line.at("sampling/is_ratio_max"), 1.0);
      EXPECT_EQ(line.at("sampling/kl"), 0.0);
    }
  }
}

TEST_F(RlAlgorithms, AnotherSamplerShowsAndIsCorrected) {
  ThreadPool pool(1);
  Model sampler = LoadModel(World().base, false, pool).value();
  Rng rng(5, Stream::kTest);
  for (int64_t i = 0; i < sampler.params().total; ++i) sampler.data()[i] += 0.02f * static_cast<float>(rng.Normal());
  sampler.Pack(pool);
  RlHooks hooks;
  hooks.sampler = &sampler;
  RlConfig config = Tiny("grpo");
  config.max_steps = 1;
  std::set<std::string> weights;
  for (const char* kind : {"none", "token", "sequence"}) {
    config.loss.importance_sampling = kind;
    ASSERT_TRUE(Run(config, dir_ / kind, 2, kLoopSeed, kLoopHash, hooks).ok());
    const auto line = MetricsOf(dir_ / kind)[0];
    EXPECT_GT(line.at("logp_mismatch/tokens"), 100.0) << "it is another model";
    EXPECT_TRUE(weights.insert(FileOf(dir_ / kind, 1, "model.safetensors")).second);
    if (kind == std::string("none")) continue;
    EXPECT_NEAR(line.at("sampling/is_ratio_mean").get<double>(), 1.0, 0.5) << "its expectation is 1";
    EXPECT_GT(line.at("sampling/is_ratio_max").get<double>(), 1.05);
    EXPECT_NE(line.at("sampling/kl").get<double>(), 0.0);
  }
}

TEST_F(RlAlgorithms, MixesNeedTheirModels) {
  RlConfig config = Tiny("grpo");
  config.task = "pick:0.5,helpful:0.5";
  const Status status = Run(config, dir_ / "a");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_NE(status.error().message.find("no reward model for them is given; set helpful"), std::string::npos)
      << status.error().message;
  ThreadPool pool(1);
  const Model language = LoadModel(World().base, false, pool).value();
  RlHooks hooks;
  hooks.helpful = &language;
  const Status headless = Run(config, dir_ / "a", 2, kLoopSeed, kLoopHash, hooks);
  ASSERT_FALSE(headless.ok());
  EXPECT_NE(headless.error().message.find("has no scalar head"), std::string::npos) << headless.error().message;
}

TEST_F(RlAlgorithms, AllTasksTogether) {
  ThreadPool pool(1);
  const Model helpful = RandomJudge(pool, 4), harmless = RandomJudge(pool, 5);
  RlHooks hooks;
  hooks.helpful = &helpful;
  hooks.harmless = &harmless;
  RlConfig config = Tiny("grpo");
  config.task = "pick,code,general,helpful,harmless";
  config.num_prompts = 10;
  config.loss.entropy_coef = 0.01;
  config.loss.mask_truncated_completions = true;
  ASSERT_TRUE(Run(config, dir_ / "a", 2, kLoopSeed, kLoopHash, hooks).ok());
  RunInParts(config, dir_ / "b", hooks);
  ExpectSameRun(dir_ / "a", dir_ / "b", 3);
  for (const auto& line : MetricsOf(dir_ / "a")) {
    for (const char* name :
         {"rewards/accuracy/mean", "rewards/format/mean", "rewards/helpful/mean", "rewards/harmless/mean",
          "tasks/pick/accuracy", "tasks/code/accuracy", "tasks/general/accuracy"}) {
      ASSERT_TRUE(line.contains(name)) << name;
      EXPECT_GE(line.at(name), 0.0);
      EXPECT_LE(line.at(name), 1.0);
    }
    EXPECT_EQ(line.at("reward/ungradable_frac"), 0.0);
    EXPECT_GT(line.at("rewards/harmless/mean"), 0.0);
  }
}

}  // namespace
}  // namespace r1
