// Supervised training: it learns a small set by heart, goes on after a stop as if there had been none, reads every
// document once an epoch, and refuses what does not fit.
#include "train/sft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "base/interrupt.h"
#include "train/stage_test_util.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

class Sft : public testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    for (uint64_t i = 0; i < 40; ++i) {
      const Document d = DocumentAt(11, i);
      documents_.push_back(TokenizeExample(StageTokenizer(), d.prompt, d.reply));
    }
  }
  void TearDown() override { ClearInterrupt(); }
  static SftConfig Short() {
    SftConfig c;
    c.optimizer.warmup_steps = 2;
    c.num_train_epochs = 3;
    c.tokens_per_step = 256;
    c.save_steps = 2;
    return c;
  }
  Status Run(const SftConfig& config, const std::string& folder, int threads = 2, Model* result = nullptr) {
    ThreadPool pool(threads);
    Model model(StageModelConfig(), true);
    model.Init(kSeed);
    const Status status = RunSft(model, StageTokenizer(), documents_, config, kSeed, folder, "hash", pool, "test");
    if (result != nullptr) *result = std::move(model);
    return status;
  }
  TempDir dir_;
  std::vector<TokenDocument> documents_;
};

TEST_F(Sft, LearnsByHeart) {
  SftConfig c = Short();
  c.num_train_epochs = 120;
  c.optimizer.learning_rate = 5e-3;
  c.optimizer.weight_decay = 0;
  documents_.resize(8);
  ASSERT_TRUE(Run(c, dir_ / "a").ok());
  const auto lines = StageMetrics(dir_ / "a");
  EXPECT_GT(lines.front().at("loss").get<double>(), 4);
  EXPECT_LT(lines.back().at("loss").get<double>(), 0.1);
  EXPECT_NEAR(lines.back().at("epoch").get<double>(), 120, 1e-12);
}

TEST_F(Sft, ReadsEveryDocumentOnceAnEpoch) {
  ASSERT_TRUE(Run(Short(), dir_ / "a").ok());
  int64_t total = 0;
  for (const TokenDocument& d : documents_) total += static_cast<int64_t>(d.tokens.size());
  const auto lines = StageMetrics(dir_ / "a");
  EXPECT_EQ(lines.back().at("num_tokens").get<int64_t>(), 3 * total);
  for (size_t i = 0; i + 1 < lines.size(); ++i) EXPECT_GE(lines[i].at("tokens").get<int64_t>(), 256);
  for (const char* name : {"loss", "learning_rate", "grad_norm", "mtp_loss", "expert_load/max", "epoch"})
    EXPECT_TRUE(lines[0].contains(name)) << name;
  // The schedule knows the number of steps: the last is at the floor.
  const SftConfig c = Short();
  EXPECT_LT(lines.back().at("learning_rate").get<double>(), 0.2 * c.optimizer.learning_rate);
}

TEST_F(Sft, GoesOnAsIfItHadNotStopped) {
  ASSERT_TRUE(Run(Short(), dir_ / "whole").ok());
  ASSERT_TRUE(Run(Short(), dir_ / "one", 1).ok());
  const int64_t last = StageMetrics(dir_ / "whole").back().at("step").get<int64_t>();
  ASSERT_GT(last, 6);
  ExpectSameStage(dir_ / "whole", dir_ / "one", last);
  for (int i = 0; i < 3; ++i) {  // stops after each of the first three steps
    RequestInterrupt();
    const Status stopped = Run(Short(), dir_ / "parts", 1 + i % 2);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
    ClearInterrupt();
  }
  ASSERT_TRUE(Run(Short(), dir_ / "parts").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "parts", last);
}

TEST_F(Sft, OtherSeedsReadInAnotherOrder) {
  ASSERT_TRUE(Run(Short(), dir_ / "a").ok());
  ThreadPool pool(2);
  Model model(StageModelConfig(), true);
  model.Init(kSeed);
  ASSERT_TRUE(RunSft(model, StageTokenizer(), documents_, Short(), kSeed + 1, dir_ / "b", "hash", pool, "test").ok());
  EXPECT_NE(StageMetrics(dir_ / "a")[0].at("loss"), StageMetrics(dir_ / "b")[0].at("loss"));
}

// With alpha 1 the student learns from the teacher's distributions alone, and the text only says where.
TEST_F(Sft, DistilsLogits) {
  ThreadPool pool(2);
  ModelConfig wide = StageModelConfig();
  wide.intermediate_size = 128;
  Model teacher(wide, true);
  teacher.Init(3);
  SftConfig c = Short();
  c.num_train_epochs = 30;
  c.optimizer.learning_rate = 3e-3;
  ASSERT_TRUE(RunSft(teacher, StageTokenizer(), documents_, c, kSeed, dir_ / "teacher", "hash", pool, "test").ok());
  const std::vector<float> before(teacher.data(), teacher.data() + teacher.params().total);
  const auto distil = [&](const std::string& folder, int threads) {
    ThreadPool own(threads);
    Model student(StageModelConfig(), true);
    student.Init(kSeed);
    return RunSft(student, StageTokenizer(), documents_, c, kSeed, folder, "hash", own, "test", &teacher);
  };
  c.distill_alpha = 1;
  ASSERT_TRUE(distil(dir_ / "soft", 2).ok());
  const auto lines = StageMetrics(dir_ / "soft");
  EXPECT_LT(lines.back().at("distill_loss").get<double>(), 0.2 * lines.front().at("distill_loss").get<double>());
  EXPECT_EQ(lines.back().at("loss"), lines.back().at("distill_loss"));
  EXPECT_LT(lines.back().at("text_loss").get<double>(), lines.front().at("text_loss").get<double>() - 2);
  EXPECT_EQ(std::memcmp(before.data(), teacher.data(), before.size() * sizeof(float)), 0);
  // Goes on after a stop, whatever the threads.
  RequestInterrupt();
  EXPECT_EQ(distil(dir_ / "parts", 1).error().code, ErrorCode::kInterrupted);
  ClearInterrupt();
  ASSERT_TRUE(distil(dir_ / "parts", 1).ok());
  ExpectSameStage(dir_ / "soft", dir_ / "parts", lines.back().at("step").get<int64_t>());
  // Between text and teacher.
  c.distill_alpha = 0.25;
  c.num_train_epochs = 1;
  ASSERT_TRUE(distil(dir_ / "mixed", 2).ok());
  for (const nlohmann::json& line : StageMetrics(dir_ / "mixed")) {
    EXPECT_NEAR(line.at("loss").get<double>(),
                0.75 * line.at("text_loss").get<double>() + 0.25 * line.at("distill_loss").get<double>(), 1e-9);
  }

  // Teachers that cannot teach.
  const auto expect = [&](const Model* other, const char* message) {
    Model student(StageModelConfig(), true);
    const Status status =
        RunSft(student, StageTokenizer(), documents_, c, kSeed, dir_ / "bad", "hash", pool, "test", other);
    ASSERT_FALSE(status.ok()) << message;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(message), std::string::npos) << status.error().message;
  };
  expect(nullptr, "no teacher is given");
  ModelConfig other = StageModelConfig();
  other.vocab_size += 32;
  const Model larger(other, false);
  expect(&larger, "logits can only be distilled within one vocabulary");
  other = StageModelConfig();
  other.num_nextn_predict_layers = 0;
  other.num_labels = 1;
  const Model scalar(other, false);
  expect(&scalar, "the teacher is a reward model");
}

TEST_F(Sft, DocumentsThatDoNotFitAreRefused) {
  const auto expect = [&](const TokenDocument& bad, const char* message) {
    documents_[3] = bad;
    const Status status = Run(Short(), dir_ / "bad");
    ASSERT_FALSE(status.ok()) << message;
    EXPECT_EQ(status.error().code, ErrorCode::kBadInput);
    EXPECT_NE(status.error().message.find("test: document 4 has " + std::string(message)), std::string::npos)
        << status.error().message;
  };
  expect({{1, 2, 3}, 3}, "no tokens to learn");
  expect({{1, 2, 3}, 0}, "no tokens to learn");
  expect({{1, 1 << 20, 3}, 1}, "token 1048576, outside");
  expect({{1, -1, 3}, 1}, "token -1, outside");
  expect({std::vector<int32_t>(514, 1), 1}, "514 tokens; the model has 512 positions");
  documents_.clear();
  EXPECT_NE(Run(Short(), dir_ / "bad").error().message.find("no documents"), std::string::npos);
  EXPECT_FALSE(Exists(dir_ / "bad"));
}

TEST(SftConfigTest, RefusedSettingsNameTheKey) {
  EXPECT_TRUE(ValidateSftConfig({}, "x").ok());
  const double nan = std::nan("");
  const std::pair<const char*, std::function<void(SftConfig&)>> bad[] = {
      {"learning_rate", [](SftConfig& c) { c.optimizer.learning_rate = 0; }},
      {"num_train_epochs", [](SftConfig& c) { c.num_train_epochs = 0; }},
      {"num_train_epochs", [](SftConfig& c) { c.num_train_epochs = 1001; }},
      {"tokens_per_step", [](SftConfig& c) { c.tokens_per_step = 31; }},
      {"mtp_loss_weight", [=](SftConfig& c) { c.mtp_loss_weight = nan; }},
      {"balance_loss_weight", [](SftConfig& c) { c.balance_loss_weight = -1; }},
      {"distill_alpha", [](SftConfig& c) { c.distill_alpha = 1.5; }},
      {"distill_temperature", [](SftConfig& c) { c.distill_temperature = 0; }},
      {"save_steps", [](SftConfig& c) { c.save_steps = -1; }},
      {"save_total_limit", [](SftConfig& c) { c.save_total_limit = -1; }}};
  for (const auto& [key, change] : bad) {
    SftConfig c;
    change(c);
    const Status status = ValidateSftConfig(c, "stage 'x'");
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(key), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
