// Supervised training of an adapter: the loss falls and the base keeps its bytes, what a checkpoint holds, byte-exact
// resume, results that do not depend on threads, and later stages that just load the merged model.
#include <gtest/gtest.h>

#include <cstring>

#include "base/interrupt.h"
#include "model/io.h"
#include "store/safetensors.h"
#include "train/sft.h"
#include "train/stage_test_util.h"
#include "train/trainer_test_util.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

class LoraStage : public testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    for (uint64_t i = 0; i < 24; ++i) {
      const Document d = DocumentAt(11, i);
      documents_.push_back(TokenizeExample(StageTokenizer(), d.prompt, d.reply));
    }
    base_.Init(kSeed);
  }
  void TearDown() override { ClearInterrupt(); }
  static SftConfig Short() {
    SftConfig c;
    c.lora = {8, 16, "all-linear"};
    c.optimizer.warmup_steps = 2;
    c.optimizer.learning_rate = 1e-2;
    c.num_train_epochs = 3;
    c.tokens_per_step = 256;
    c.save_steps = 2;
    return c;
  }
  // Trains an adapter on the base; the base's bytes may not change.
  Status Run(const SftConfig& config, const std::string& folder, int threads = 2) {
    ThreadPool pool(threads);
    Model model(StageModelConfig(), true);
    model.Init(kSeed);
    R1_TRY(model.AddAdapter(config.lora, kSeed, "base", "test"));
    const Status status = RunSft(model, StageTokenizer(), documents_, config, kSeed, folder, "hash", pool, "test");
    EXPECT_EQ(std::memcmp(model.data(), base_.data(), static_cast<size_t>(base_.params().total) * sizeof(float)), 0);
    return status;
  }
  static std::string Last(const std::string& folder) { return ResolveModelFolder(folder).value(); }

  TempDir dir_;
  std::vector<TokenDocument> documents_;
  Model base_{StageModelConfig(), false};
};

TEST_F(LoraStage, LearnsAndLeavesAModelThatOthersLoad) {
  SftConfig c = Short();
  c.num_train_epochs = 40;
  documents_.resize(8);
  ASSERT_TRUE(Run(c, dir_ / "a").ok());
  const auto lines = StageMetrics(dir_ / "a");
  EXPECT_LT(lines.back().at("loss").get<double>(), 0.65 * lines.front().at("loss").get<double>());

  // A folder that any stage loads: the base with the adapter added. What no projection is has the base's bytes.
  ThreadPool pool(1);
  Result<Model> merged = LoadModel(Last(dir_ / "a"), true, pool);
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  Model adapted(StageModelConfig(), true);
  adapted.Init(kSeed);
  ASSERT_TRUE(adapted.AddAdapter(c.lora, 1, "", "test").ok());
  ASSERT_TRUE(ReadAdapterWeights(Last(dir_ / "a") + "/adapter", adapted).ok());
  adapted.Pack(pool);
  int changed = 0;
  for (size_t i = 0; i < base_.params().specs.size(); ++i) {
    const ParamSpec& spec = base_.params().specs[i];
    std::vector<float> want(static_cast<size_t>(spec.count()));
    adapted.MergedParam(i, want.data());
    EXPECT_EQ(std::memcmp(want.data(), merged->data() + spec.offset, want.size() * sizeof(float)), 0) << spec.name;
    const bool same = std::memcmp(want.data(), base_.data() + spec.offset, want.size() * sizeof(float)) == 0;
    changed += same ? 0 : 1;
    EXPECT_TRUE(same || spec.name.find("_proj.weight") != std::string::npos ||
                spec.name.find("kv_a_proj_with_mqa") != std::string::npos)
        << spec.name;
    EXPECT_TRUE(same || !spec.expert) << spec.name;
  }
  EXPECT_EQ(changed, static_cast<int>(adapted.trained().specs.size()) / 2);

  // The merged model's loss is the adapted one's, up to the rounding of its weights to bf16.
  const auto loss = [&](Model& model) {
    Trainer trainer(model, c.optimizer, pool);
    std::vector<TrainSequence> sequences;
    for (const TokenDocument& d : documents_)
      sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from});
    double sum = 0, rows = 0;
    trainer.Score(model, sequences, {}, [&](int, const MicroBatch& m, LogProbs& l) {
      for (int64_t i = 0; i < m.rows; ++i) sum -= static_cast<double>(l.logp[i]);
      rows += static_cast<double>(m.rows);
    });
    return sum / rows;
  };
  const double with_adapter = loss(adapted), after_merge = loss(*merged);
  EXPECT_LT(with_adapter, 0.65 * lines.front().at("loss").get<double>());
  EXPECT_NEAR(with_adapter, after_merge, 0.02);
}

TEST_F(LoraStage, CheckpointsHoldMomentsOfTheAdapterOnly) {
  ASSERT_TRUE(Run(Short(), dir_ / "a").ok());
  const std::string folder = Last(dir_ / "a");
  Model model(StageModelConfig(), true);
  ASSERT_TRUE(model.AddAdapter(Short().lora, 1, "", "test").ok());
  const SafetensorsFile optimizer = SafetensorsFile::Open(folder + "/optimizer.safetensors").value();
  EXPECT_EQ(optimizer.tensors().size(), 2 * model.trained().specs.size());
  const SafetensorsFile adapter = SafetensorsFile::Open(folder + "/adapter/adapter_model.safetensors").value();
  ASSERT_EQ(adapter.tensors().size(), model.trained().specs.size());
  for (const ParamSpec& spec : model.trained().specs) {
    EXPECT_TRUE(optimizer.Get("exp_avg_sq." + spec.name, StoredType::kF32, {spec.rows, spec.cols}).ok()) << spec.name;
    EXPECT_TRUE(adapter.Get("base_model.model." + spec.name, StoredType::kF32, {spec.rows, spec.cols}).ok())
        << spec.name;
  }
  EXPECT_TRUE(Exists(folder + "/adapter/adapter_config.json"));
  EXPECT_TRUE(Exists(folder + "/config.json"));
}

TEST_F(LoraStage, GoesOnAsIfItHadNotStopped) {
  ASSERT_TRUE(Run(Short(), dir_ / "whole").ok());
  ASSERT_TRUE(Run(Short(), dir_ / "one", 1).ok());
  const int64_t last = StageMetrics(dir_ / "whole").back().at("step").get<int64_t>();
  ASSERT_GT(last, 4);
  ExpectSameStage(dir_ / "whole", dir_ / "one", last);
  for (int i = 0; i < 3; ++i) {  // stops after each of the first three steps
    RequestInterrupt();
    EXPECT_EQ(Run(Short(), dir_ / "parts", 1 + i % 2).error().code, ErrorCode::kInterrupted);
    ClearInterrupt();
  }
  ASSERT_TRUE(Run(Short(), dir_ / "parts").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "parts", last);
  for (const char* name : {"/adapter/adapter_model.safetensors", "/adapter/adapter_config.json"}) {
    EXPECT_TRUE(ReadFile(Last(dir_ / "whole") + name, 1 << 28).value() ==
                ReadFile(Last(dir_ / "parts") + name, 1 << 28).value())
        << name;
  }
}

// The trainer's step on an adapter: AdamW of the adapter's gradient, the router's balance left alone.
TEST_F(LoraStage, OnlyTheAdapterMoves) {
  ThreadPool pool(2);
  ModelConfig config = StageModelConfig();
  Model model(config, true);
  model.Init(kSeed);
  ASSERT_TRUE(model.AddAdapter({4, 8, "q_proj,down_proj"}, kSeed, "", "test").ok());
  model.Pack(pool);
  const std::vector<float> before(model.trained_data(), model.trained_data() + model.trained().total);
  OptimizerConfig optimizer = Config(2, 64);
  optimizer.router_bias_update = 0.1;
  Trainer trainer(model, optimizer, pool);
  Data data(config.vocab_size, {30, 40, 20}, 3);
  const StepReport report = trainer.Step(0, 10, data.view, {}, [&](int, const MicroBatch& m, LogProbs& l) {
    for (int64_t i = 0; i < m.rows; ++i) l.dlogp[i] = -1.0f / static_cast<float>(data.targets());
  });
  EXPECT_TRUE(report.finite);
  EXPECT_GT(report.grad_norm, 0);
  EXPECT_EQ(std::memcmp(model.data(), base_.data(), static_cast<size_t>(base_.params().total) * sizeof(float)), 0);
  // B starts at zero, so that A has no gradient in the first step and only decays.
  for (const ParamSpec& spec : model.trained().specs) {
    int64_t moved = 0;
    for (int64_t i = spec.offset; i < spec.offset + spec.count(); ++i) {
      const bool is_a = spec.name.ends_with(".lora_A.weight");
      if (is_a) {
        EXPECT_EQ(trainer.gradient()[i], 0.0f) << spec.name;
        EXPECT_NEAR(model.trained_data()[i], before[static_cast<size_t>(i)], 2e-3f) << spec.name;
      }
      moved += model.trained_data()[i] != before[static_cast<size_t>(i)] ? 1 : 0;
    }
    EXPECT_GT(moved, 0) << spec.name;
  }
}

}  // namespace
}  // namespace r1
