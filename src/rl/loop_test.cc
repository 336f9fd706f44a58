// The RL loop as a whole, on a base model trained for seconds: what it writes, the reference
// policy, several updates a rollout, threads, interrupts, resume.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rl/loop_test_util.h"

namespace r1 {
namespace {

using RlLoop = LoopTest;

TEST_F(RlLoop, WritesWhatItSays) {
  const Status done = Run(Small(), dir_ / "a");
  ASSERT_TRUE(done.ok()) << done.error().message;
  const auto lines = MetricsOf(dir_ / "a");
  ASSERT_EQ(lines.size(), 4u);
  double tokens = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    EXPECT_EQ(line.at("step"), i + 1);
    EXPECT_EQ(line.at("logp_mismatch/tokens"), 0.0) << "the sampler's log-probabilities are the trainer's";
    EXPECT_EQ(line.at("logp_mismatch/max"), 0.0);
    EXPECT_EQ(line.at("clip_ratio/low_mean"), 0.0) << "one on-policy update never clips";
    EXPECT_EQ(line.at("clip_ratio/high_mean"), 0.0);
    EXPECT_EQ(line.at("kl"), 0.0);
    EXPECT_EQ(line.at("reward/ungradable_frac"), 0.0);
    EXPECT_EQ(line.at("learning_rate"), 1e-3);
    const double reward = line.at("rewards/accuracy/mean").get<double>() +
                          0.2 * line.at("rewards/format/mean").get<double>() +
                          0.3 * line.at("rewards/language/mean").get<double>();
    EXPECT_NEAR(line.at("reward").get<double>(), reward, 1e-9);
    EXPECT_LE(line.at("completions/max_length").get<double>(), 32);
    EXPECT_GT(line.at("entropy").get<double>(), 0.1);
    tokens += 36 * line.at("completions/mean_length").get<double>();
    EXPECT_NEAR(line.at("num_tokens").get<double>(), tokens, 1e-6);
  }
  EXPECT_GT(Sum(lines, "reward_std"), 0.0) << "a test without differing rewards tests nothing";
  EXPECT_GT(Sum(lines, "grad_norm"), 0.0);
  EXPECT_EQ(ListDir(JoinPath(dir_ / "a", "completions")).value(),
            (std::vector<std::string>{"step_1.jsonl", "step_2.jsonl", "step_4.jsonl"}));
  EXPECT_NE(FileOf(dir_ / "a", 2, "model.safetensors"), FileOf(dir_ / "a", 4, "model.safetensors"))
      << "it learnt something in between";

  // Every completion's line agrees with the step's metrics.
  std::ifstream file(JoinPath(dir_ / "a", "completions/step_4.jsonl"));
  double reward = 0, length = 0, count = 0;
  std::map<int64_t, double> advantage_of_prompt;
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = ParseJson(text, "completion").value();
    reward += line.at("reward").get<double>();
    length += line.at("tokens").get<double>();
    advantage_of_prompt[line.at("prompt_id").get<int64_t>()] += line.at("advantage").get<double>();
    EXPECT_EQ(line.at("finish_reason") == "stop",
              line.at("completion").get<std::string>().find("<|end|>") != std::string::npos);
    ++count;
  }
  EXPECT_EQ(count, 36);
  EXPECT_NEAR(reward / count, lines[3].at("reward").get<double>(), 1e-9);
  EXPECT_NEAR(length / count, lines[3].at("completions/mean_length").get<double>(), 1e-9);
  ASSERT_EQ(advantage_of_prompt.size(), 6u);
  for (const auto& [prompt, sum] : advantage_of_prompt) EXPECT_NEAR(sum, 0, 1e-9) << prompt;
}

TEST_F(RlLoop, ThreadsAndSlotsDoNotShow) {
  ASSERT_TRUE(Run(Small(), dir_ / "one", 1).ok());
  ASSERT_TRUE(Run(Small(), dir_ / "three", 3).ok());
  ExpectSameRun(dir_ / "one", dir_ / "three", 4);
  RlConfig slots = Small();
  slots.slots = 7;
  ASSERT_TRUE(Run(slots, dir_ / "slots", 2).ok());
  ExpectSameRun(dir_ / "one", dir_ / "slots", 4);
  ASSERT_TRUE(Run(Small(), dir_ / "other", 2, kLoopSeed + 1).ok());
  EXPECT_NE(FileOf(dir_ / "one", 4, "model.safetensors"), FileOf(dir_ / "other", 4, "model.safetensors"))
      << "another seed is another run";
}

TEST_F(RlLoop, ReferenceIsRefreshedAndResumed) {
  RlConfig config = Small();
  config.loss.beta = 0.1;
  config.ref_sync_steps = 3;
  config.max_steps = 6;
  config.save_steps = 2;
  ASSERT_TRUE(Run(config, dir_ / "whole").ok());
  const auto lines = MetricsOf(dir_ / "whole");
  ASSERT_EQ(lines.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const double kl = lines[i].at("kl").get<double>();
    if (i == 0 || i == 3) {
      EXPECT_EQ(kl, 0.0) << "step " << i + 1 << ": the policy is the reference, bit for bit";
    } else {
      EXPECT_GT(kl, 0.0) << "step " << i + 1;
    }
    EXPECT_EQ(lines[i].at("logp_mismatch/max"), 0.0);
  }
  EXPECT_EQ(FileOf(dir_ / "whole", 6, "reference.safetensors"), FileOf(dir_ / "whole", 6, "model.safetensors"))
      << "synced at step 6";
  EXPECT_NE(FileOf(dir_ / "whole", 4, "reference.safetensors"), FileOf(dir_ / "whole", 4, "model.safetensors"));

  // Stopped between two refreshes (after 2, and after 4 of 6 steps).
  RlConfig part = config;
  part.max_steps = 2;
  ASSERT_TRUE(Run(part, dir_ / "parts").ok());
  part.max_steps = 5;
  ASSERT_TRUE(Run(part, dir_ / "parts", 1).ok());
  ASSERT_TRUE(Run(config, dir_ / "parts").ok());
  ExpectSameRun(dir_ / "whole", dir_ / "parts", 6, {"reference.safetensors"});

  // Without the penalty the same steps lead elsewhere.
  config.loss.beta = 0;
  ASSERT_TRUE(Run(config, dir_ / "free").ok());
  EXPECT_NE(FileOf(dir_ / "free", 6, "model.safetensors"), FileOf(dir_ / "whole", 6, "model.safetensors"));
  EXPECT_FALSE(Exists(JoinPath(dir_ / "free", "checkpoint-6/reference.safetensors")));
}

TEST_F(RlLoop, SeveralUpdatesOfARolloutClip) {
  RlConfig config = Small();
  config.num_iterations = 2;
  config.mini_batches = 2;
  config.loss.epsilon = 0.05;
  config.loss.epsilon_high = 0.06;
  config.optimizer.learning_rate = 3e-3;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const auto lines = MetricsOf(dir_ / "a");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_GT(Sum(lines, "clip_ratio/low_mean"), 0.0);
  EXPECT_GT(Sum(lines, "clip_ratio/high_mean"), 0.0);
  EXPECT_EQ(Sum(lines, "logp_mismatch/tokens"), 0.0) << "the first update is still on the policy that sampled";
  const nlohmann::json state = ParseJson(FileOf(dir_ / "a", 4, "trainer_state.json"), "state").value();
  EXPECT_GT(state.at("optimizer_steps").get<int64_t>(), 8) << "up to four updates a step";
  EXPECT_LE(state.at("optimizer_steps").get<int64_t>(), 16);
  // Killed and resumed in the middle: the same, with the shuffle of the mini-batches.
  RlConfig part = config;
  part.max_steps = 2;
  ASSERT_TRUE(Run(part, dir_ / "b", 1).ok());
  ASSERT_TRUE(Run(config, dir_ / "b").ok());
  ExpectSameRun(dir_ / "a", dir_ / "b", 4);
  // A range so wide that nothing is clipped is another loss.
  config.loss.epsilon = config.loss.epsilon_high = 1e6;
  ASSERT_TRUE(Run(config, dir_ / "c").ok());
  EXPECT_EQ(Sum(MetricsOf(dir_ / "c"), "clip_ratio/low_mean") + Sum(MetricsOf(dir_ / "c"), "clip_ratio/high_mean"),
            0.0);
  EXPECT_NE(FileOf(dir_ / "a", 4, "model.safetensors"), FileOf(dir_ / "c", 4, "model.safetensors"));
}

TEST_F(RlLoop, LossTypesDiffer) {
  std::map<std::string, std::string> seen;
  for (const char* type : {"dapo", "grpo", "dr_grpo"}) {
    for (const char* scale : {"group", "none"}) {
      RlConfig config = Small();
      config.max_steps = 2;
      config.loss.loss_type = type;
      config.loss.scale_rewards = scale;
      const std::string folder = dir_ / (std::string(type) + scale);
      ASSERT_TRUE(Run(config, folder).ok());
      const auto lines = MetricsOf(folder);
      EXPECT_EQ(Sum(lines, "logp_mismatch/tokens"), 0.0);
      EXPECT_TRUE(seen.emplace(FileOf(folder, 2, "model.safetensors"), folder).second)
          << folder << " ends like another";
    }
  }
}

TEST_F(RlLoop, InterruptSavesAndGoesOnTheSame) {
  ASSERT_TRUE(Run(Small(), dir_ / "whole").ok());
  RequestInterrupt();
  const Status stopped = Run(Small(), dir_ / "stopped");
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
  EXPECT_NE(stopped.error().message.find("run the same command again"), std::string::npos);
  ASSERT_FALSE(ListCheckpoints(dir_ / "stopped").value().empty()) << "the state was saved";
  ClearInterrupt();
  ASSERT_TRUE(Run(Small(), dir_ / "stopped").ok());
  ExpectSameRun(dir_ / "whole", dir_ / "stopped", 4);
}

TEST_F(RlLoop, OtherSettingsInTheSameFolderAreRefused) {
  RlConfig config = Small();
  config.max_steps = 1;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const std::string before = FileOf(dir_ / "a", 1, "manifest.json");
  for (const Status& status :
       {Run(config, dir_ / "a", 2, kLoopSeed, "other"), Run(config, dir_ / "a", 2, kLoopSeed + 1)}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find("other settings"), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("--output-dir"), std::string::npos) << status.error().message;
  }
  EXPECT_EQ(FileOf(dir_ / "a", 1, "manifest.json"), before);
}

// Gradients that are not finite change nothing and end the run with an error that says so.
TEST_F(RlLoop, NonFiniteStepsEndTheRun) {
  RlConfig config = Small();
  config.max_steps = 20;
  config.reward_language = 1e38;
  config.loss.scale_rewards = "none";
  const Status status = Run(config, dir_ / "a");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInternal) << status.error().message;
  EXPECT_NE(status.error().message.find("3 steps in a row were not finite"), std::string::npos)
      << status.error().message;
  EXPECT_NE(status.error().message.find("learning_rate"), std::string::npos) << status.error().message;
  EXPECT_TRUE(FileOf(dir_ / "a", 2, "model.safetensors") ==
              ReadFile(JoinPath(World().base, "model.safetensors"), int64_t{1} << 30).value())
      << "a step that was skipped changed the weights";
}

TEST_F(RlLoop, TooLongRepliesAreAnError) {
  RlConfig config = Small();
  config.max_completion_length = 100000;
  const Status status = Run(config, dir_ / "a");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("positions"), std::string::npos) << status.error().message;
}

}  // namespace
}  // namespace r1
