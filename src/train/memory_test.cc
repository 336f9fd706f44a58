// Estimates of memory against what models, trainers and passes really hold, and the refusal.
#include "train/memory.h"

#include <gtest/gtest.h>

#include "model/model_test_util.h"
#include "train/trainer.h"

namespace r1 {
namespace {

// One long sequence, every token of it a target, forward and backward; what the arenas hold after.
int64_t MeasuredPass(const ModelConfig& config, int64_t tokens, const LoraConfig& lora) {
  Model model(config, true);
  FillModel(model, 1);
  EXPECT_TRUE(!lora.on() || model.AddAdapter(lora, 1, "", "test").ok());
  ThreadPool pool(1);
  model.Pack(pool);
  std::vector<reference::Sequence> sequences = RandomSequences(config.vocab_size, {tokens + 1}, 1);
  sequences[0].loss_from = 1;
  Objective o;
  o.dlogp.assign(static_cast<size_t>(tokens), 0.01f);
  o.mtp_weight = static_cast<float>(config.num_nextn_predict_layers);
  Context ctx;
  RunProduct(ctx, model, sequences, o, true);
  return static_cast<int64_t>(ctx.arena.allocated_bytes()) + static_cast<int64_t>(ctx.scratch.allocated_bytes());
}

class Memory : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
};

// Chunks of an arena double, so that it holds up to twice of what was asked for, and its first chunk is 1 MiB.
TEST_P(Memory, PassesTakeWhatIsEstimated) {
  ModelConfig c = GetParam().config;
  c.max_position_embeddings = 2048;
  constexpr int64_t kTokens = 1024;
  for (const LoraConfig& lora : {LoraConfig{}, LoraConfig{8, 16, "all-linear"}}) {
    const int64_t estimate = PassBytes(c, kTokens, lora), measured = MeasuredPass(c, kTokens, lora);
    EXPECT_GT(measured, estimate * 7 / 10) << lora.lora_r;
    EXPECT_LT(measured, estimate * 5 / 2 + (int64_t{2} << 20)) << lora.lora_r;
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, Memory, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

TEST(TrainingMemory, CountsFloatsAndCopies) {
  const ModelConfig c = TestDense(64, 4, 2, 16, 48, 64);
  OptimizerConfig optimizer;
  optimizer.grad_shards = 3;
  optimizer.micro_tokens = 128;
  // Two layers: q 64x64, k and v 32x64, o 64x64, gate and up 48x64, down 64x48; embedding and head 64x64; norms.
  const int64_t layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 48 * 64, norms = 5 * 64;
  const int64_t all = 2 * layer + 2 * 64 * 64 + norms;
  const TrainingMemory full = EstimateTraining(c, optimizer, {}, 0, 2, "x").value();
  EXPECT_EQ(full.parameters, all);
  EXPECT_EQ(full.trained, all);
  EXPECT_EQ(full.gradients, 4 * 3 * all);
  EXPECT_EQ(full.optimizer, 8 * all);
  // Floats; both copies of every matrix that multiplies (48 is padded to 64 where it is summed over); the rotation.
  const int64_t padded = layer + (64 - 48) * (2 * 64 + 64) / 2;
  EXPECT_EQ(full.weights, 4 * all + 4 * (2 * padded + 64 * 64) + 4 * 128 * 16);
  EXPECT_EQ(full.activations, 2 * PassBytes(c, 128, {}));
  EXPECT_EQ(EstimateTraining(c, optimizer, {}, 500, 8, "x").value().activations, 3 * PassBytes(c, 500, {}));

  const TrainingMemory lora = EstimateTraining(c, optimizer, {4, 8, "q_proj,down_proj"}, 0, 2, "x").value();
  const int64_t adapter = 2 * (4 * 64 + 64 * 4 + 4 * 48 + 64 * 4);
  EXPECT_EQ(lora.parameters, all);
  EXPECT_EQ(lora.trained, adapter);
  EXPECT_EQ(lora.gradients, 4 * 3 * adapter);
  EXPECT_EQ(lora.optimizer, 8 * adapter);
  EXPECT_GT(lora.weights, full.weights + 4 * adapter);
  EXPECT_LT(lora.weights, full.weights + 34 * adapter);
  EXPECT_LT(lora.total(), full.total());
  EXPECT_FALSE(EstimateTraining(c, optimizer, {4, 8, "kv_b_proj"}, 0, 2, "x").ok());
}

TEST(TrainingMemory, WhatCannotFitIsRefusedWithTheNumbers) {
  TrainingMemory m;
  m.parameters = 3'000'000;
  m.trained = 40'000;
  m.lora_r = 8;
  m.weights = 4'000'000'000;
  m.gradients = 5'000'000;
  m.optimizer = 6'000'000;
  m.activations = 700'000'000;
  EXPECT_TRUE(CheckMemory(m, m.total(), "x").ok());
  const Status refused = CheckMemory(m, m.total() - 1, "stage 'x'");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  for (const char* part : {"stage 'x': needs about 4.7 GB: weights 4.0 GB, gradients 5.0 MB, optimizer 6.0 MB, "
                           "activations 700.0 MB; 0.040 M of 3.000 M parameters are trained (LoRA of rank 8)",
                           "there are 4.7 GB", "a smaller lora_r"}) {
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  }
  m.lora_r = 0;
  m.reference = m.value = m.beside = m.rollout = 1'000'000;
  EXPECT_NE(CheckMemory(m, 0, "x").error().message.find("reference model 1.0 MB, value model 1.0 MB, other models 1.0 "
                                                        "MB, sampling 1.0 MB; all 3.000 M"),
            std::string::npos);
}

}  // namespace
}  // namespace r1
