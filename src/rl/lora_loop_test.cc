// Reinforcement learning of an adapter: sampler and trainer agree in every bit, the reference policy is the base in the
// same memory, and a run that was stopped leaves the bytes of one that was not.
#include <cstring>

#include "rl/loop_test_util.h"

namespace r1 {
namespace {

class LoraLoop : public LoopTest {
 protected:
  static RlConfig Adapted() {
    RlConfig c = Small();
    c.lora = {4, 16, "all-linear"};
    c.optimizer.learning_rate = 5e-3;
    c.loss.beta = 0.05;
    c.ref_sync_steps = 0;
    return c;
  }
  static Status RunAdapted(const RlConfig& config, const std::string& folder, int threads = 2) {
    ThreadPool pool(threads);
    Result<Model> model = LoadModel(World().base, true, pool);
    if (!model.ok()) return model.error();
    const std::vector<float> before(model->data(), model->data() + model->params().total);
    R1_TRY(model->AddAdapter(config.lora, kLoopSeed, "base", "test"));
    model->Pack(pool);
    const Status status =
        RunRl(*model, World().tokenizer, config, kLoopSeed, folder, kLoopHash, pool, "test", RlHooks{});
    EXPECT_EQ(std::memcmp(before.data(), model->data(), before.size() * sizeof(float)), 0) << "the base was changed";
    return status;
  }
  static void ExpectSame(const std::string& a, const std::string& b, int64_t step) {
    for (const char* name : {"model.safetensors", "optimizer.safetensors", "adapter/adapter_model.safetensors",
                             "adapter/adapter_config.json", "trainer_state.json", "manifest.json"})
      EXPECT_TRUE(FileOf(a, step, name) == FileOf(b, step, name)) << name;
    EXPECT_EQ(MetricsOf(a), MetricsOf(b));
  }
};

TEST_F(LoraLoop, SamplerAndTrainerAgreeInEveryBit) {
  const RlConfig c = Adapted();
  ASSERT_TRUE(RunAdapted(c, dir_ / "a").ok());
  const auto lines = MetricsOf(dir_ / "a");
  ASSERT_EQ(lines.size(), 4u);
  double moved = 0;
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("logp_mismatch/max").get<double>(), 0.0);
    EXPECT_EQ(line.at("logp_mismatch/tokens").get<double>(), 0.0);
    moved += line.at("grad_norm").get<double>();
  }
  EXPECT_GT(moved, 0);
  // The first rollout is the base's own; later ones have moved away from it.
  EXPECT_EQ(lines[0].at("kl").get<double>(), 0.0);
  EXPECT_GT(lines[3].at("kl").get<double>(), 0.0);
  // No second copy of the base is kept.
  EXPECT_FALSE(Exists(dir_ / "a/checkpoint-4/reference.safetensors"));
  EXPECT_TRUE(Exists(dir_ / "a/checkpoint-4/adapter/adapter_model.safetensors"));
}

// The reference is the base: the same KL as with a copy of the base as an explicit reference.
TEST_F(LoraLoop, TheReferenceIsTheBase) {
  ThreadPool pool(2);
  Model model = LoadModel(World().base, true, pool).value();
  const Model base = LoadModel(World().base, false, pool).value();
  ASSERT_TRUE(model.AddAdapter({4, 16, "all-linear"}, 1, "", "test").ok());
  Rng rng(5, Stream::kTest);
  for (int64_t i = 0; i < model.trained().total; ++i)
    model.trained_data()[i] += 0.05f * static_cast<float>(rng.Normal());
  model.Pack(pool);
  OptimizerConfig optimizer;
  Trainer trainer(model, optimizer, pool);
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 60; ++i) tokens.push_back(i * 7 % 200);
  const std::vector<TrainSequence> sequences = {{tokens.data(), 60, 1}};
  const auto score = [&](const Model& of, bool adapter) {
    std::vector<float> logp;
    PassOptions options;
    options.adapter = adapter;
    trainer.Score(of, sequences, options,
                  [&](int, const MicroBatch& m, LogProbs& l) { logp.assign(l.logp, l.logp + m.rows); });
    return logp;
  };
  EXPECT_EQ(score(model, false), score(base, true));
  EXPECT_NE(score(model, true), score(base, true));
}

TEST_F(LoraLoop, GoesOnAsIfItHadNotStopped) {
  const RlConfig c = Adapted();
  ASSERT_TRUE(RunAdapted(c, dir_ / "whole").ok());
  ASSERT_TRUE(RunAdapted(c, dir_ / "one", 1).ok());
  ExpectSame(dir_ / "whole", dir_ / "one", 4);
  for (int i = 0; i < 2; ++i) {
    RequestInterrupt();
    EXPECT_EQ(RunAdapted(c, dir_ / "parts").error().code, ErrorCode::kInterrupted);
    ClearInterrupt();
  }
  ASSERT_TRUE(RunAdapted(c, dir_ / "parts").ok());
  ExpectSame(dir_ / "whole", dir_ / "parts", 4);
}

// PPO: the value model has all its weights trained; the policy's adapter is as before.
TEST_F(LoraLoop, WorksWithAValueModel) {
  RlConfig c = Adapted();
  c.loss.algorithm = "ppo";
  c.loss.beta = 0;
  c.max_steps = 2;
  ASSERT_TRUE(RunAdapted(c, dir_ / "a").ok());
  for (const auto& line : MetricsOf(dir_ / "a")) EXPECT_EQ(line.at("logp_mismatch/max").get<double>(), 0.0);
}

TEST_F(LoraLoop, AReferenceThatWouldMoveIsRefused) {
  RlConfig c = Adapted();
  c.ref_sync_steps = 2;
  const Status refused = ValidateRlConfig(c, "stage 'x'");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_NE(refused.error().message.find("ref_sync_steps to 0"), std::string::npos) << refused.error().message;
  c.ref_sync_steps = 4;  // the run is over by then
  EXPECT_TRUE(ValidateRlConfig(c, "x").ok());
  c.lora.lora_target_modules = "experts";
  EXPECT_FALSE(ValidateRlConfig(c, "x").ok());
}

}  // namespace
}  // namespace r1
