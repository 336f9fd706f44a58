// Two run folders made by hand; each test spoils one thing in the second and asks to be told just that.
#include "recipe/diff_runs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>

#include "base/files.h"
#include "recipe/diff_values.h"
#include "recipe/volatile_fields.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

class DiffRunsTest : public ::testing::Test {
 protected:
  DiffRunsTest()
      : root_(::testing::TempDir() + "diff_runs_" + std::to_string(getpid())), a_(root_ + "/a"), b_(root_ + "/b") {
    EXPECT_TRUE(RemoveTree(root_).ok());
    WriteRun(a_, "1.5");
    WriteRun(b_, "2.5");
  }
  ~DiffRunsTest() override { EXPECT_TRUE(RemoveTree(root_).ok()); }

  // Not synced to disk, unlike the product's writes: there are thousands.
  static void Write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(MakeDirs(ParentOf(path)).ok());
    std::ofstream out(path, std::ios::binary);
    out << text;
    ASSERT_TRUE(out.good());
  }

  static void WriteTensors(const std::string& path, const std::vector<float>& values) {
    static std::map<std::vector<float>, std::string>
        made;  // bytes of the file, written once through the product's writer
    std::string& bytes = made[values];
    if (bytes.empty()) {
      const std::string scratch = ::testing::TempDir() + "diff_runs_tensors_" + std::to_string(getpid());
      const auto n = static_cast<int64_t>(values.size());
      const std::vector<float> norm = {1, 1};
      ASSERT_TRUE(
          WriteSafetensors(
              scratch,
              {{"w", StoredType::kF32, {2, n / 2}, values.data()}, {"norm", StoredType::kF32, {2}, norm.data()}}, {})
              .ok());
      Result<std::string> read = ReadFile(scratch, 1 << 20);
      ASSERT_TRUE(read.ok());
      bytes = *read;
      ASSERT_TRUE(RemoveFile(scratch).ok());
    }
    Write(path, bytes);
  }

  // seconds: the only thing in which the two runs differ.
  static void WriteRun(const std::string& run, const std::string& seconds) {
    Write(run + "/recipe.toml", "seed = 1\noutput_dir = \"" + run + "\"\n");
    Write(run + "/manifest.json", R"({"config_hash": "ab", "created_at": ")" + seconds + "\"}");
    Write(run + "/results.json",
          R"({"name": ")" + run + R"(", "stages": [{"name": "zero", "eval": {"pass@1": 0.75}}], "times": {"total": )" +
              seconds + "}}");
    Write(run + "/report.html", seconds);
    for (const std::string stage : {"pretrain", "rl"}) {
      std::string metrics;
      for (int step = 1; step <= 20; ++step) {
        metrics += R"({"step": )" + std::to_string(step) + R"(, "loss": 0.5, "time/rollout": )" + seconds +
                   R"(, "step_time": )" + seconds + "}\n";
      }
      Write(run + "/" + stage + "/metrics.jsonl", metrics);
      Write(run + "/" + stage + "/log.txt", seconds);
      for (const std::string step : {"10", "20"}) {
        const std::string folder = run + "/" + stage + "/checkpoint-" + step;
        WriteTensors(folder + "/model.safetensors", {1, 2, 3, 4});
        WriteTensors(folder + "/optimizer.safetensors", {0, 0, 0, 0});
        Write(folder + "/trainer_state.json",
              R"({"step": )" + step + R"(, "rng": {"counter": [1, 2]}, "wall_time": )" + seconds + "}");
        Write(folder + "/manifest.json", seconds);
        Write(folder + "/config.json", "{}");
      }
    }
    Write(run + "/rl/completions/step_10.jsonl", R"({"step": 10, "completion": "yes so"})"
                                                 "\n"
                                                 R"({"step": 10, "completion": "wait 等等"})"
                                                 "\n");
    Write(run + "/rl/completions/step_2.jsonl", R"({"step": 2, "completion": "try"})"
                                                "\n");
  }

  RunComparison Compare() {
    const Result<RunComparison> comparison = CompareRuns(a_, b_);
    EXPECT_TRUE(comparison.ok()) << comparison.error().message;
    return comparison.ok() ? *comparison : RunComparison{};
  }

  // The only difference there is.
  RunDifference Only() {
    const RunComparison comparison = Compare();
    EXPECT_EQ(comparison.differences.size(), 1U);
    for (size_t i = 1; i < comparison.differences.size(); ++i)
      ADD_FAILURE() << DescribeDifference(comparison.differences[i]);
    return comparison.differences.empty() ? RunDifference{} : comparison.differences[0];
  }

  std::string root_, a_, b_;
};

TEST_F(DiffRunsTest, TimesAndFoldersDoNotCount) {
  const RunComparison comparison = Compare();
  EXPECT_TRUE(comparison.identical());
  EXPECT_TRUE(comparison.notes.empty());
  EXPECT_EQ(comparison.stages, (std::vector<std::string>{"pretrain", "rl"}));
  EXPECT_EQ(comparison.records, 2 * 20 + 3);
  EXPECT_EQ(comparison.tensors, 2 * 2 * 2 * 2);
  EXPECT_EQ(comparison.numbers, 2 * 2 * 2 * 6);
  EXPECT_EQ(comparison.files, 1 + 2 * (1 + 2 * 4) + 2);
}

TEST_F(DiffRunsTest, Metric) {
  std::string metrics;
  for (int step = 1; step <= 20; ++step) {
    metrics += R"({"step": )" + std::to_string(step) + R"(, "loss": )" + (step >= 7 ? "0.5000000000000001" : "0.5") +
               R"(, "step_time": 9})"
               "\n";
  }
  Write(a_ + "/rl/metrics.jsonl", metrics);
  std::string same;
  for (int step = 1; step <= 20; ++step)
    same += R"({"step": )" + std::to_string(step) +
            R"(, "loss": 0.5, "step_time": 3})"
            "\n";
  Write(b_ + "/rl/metrics.jsonl", same);
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "metrics");
  EXPECT_EQ(d.stage, "rl");
  EXPECT_EQ(d.step, 7);
  EXPECT_EQ(d.index, 7);
  EXPECT_EQ(d.name, "loss");
  EXPECT_EQ(d.a, "0.5000000000000001");
  EXPECT_EQ(d.b, "0.5");
  EXPECT_EQ(DescribeDifference(d), "stage rl, step 7, metrics.jsonl line 7, field 'loss': 0.5000000000000001 | 0.5");
}

TEST_F(DiffRunsTest, OneBitOfAWeight) {
  WriteTensors(b_ + "/rl/checkpoint-20/model.safetensors", {1, 2, std::nextafter(3.0F, 4.0F), 4.5F});
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "weights");
  EXPECT_EQ(d.step, 20);
  EXPECT_EQ(d.name, "w");
  EXPECT_EQ(d.index, 2);
  EXPECT_EQ(d.a, "3");
  EXPECT_EQ(d.b, "3.00000024");
  EXPECT_EQ(d.elements, 2);
  EXPECT_EQ(d.max_abs, 0.5);
}

TEST_F(DiffRunsTest, OptimizerShapeAndAbsence) {
  WriteTensors(b_ + "/pretrain/checkpoint-10/optimizer.safetensors", {0, 0, 0, 0, 0, 0});
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "optimizer");
  EXPECT_EQ(d.stage, "pretrain");
  EXPECT_EQ(d.a, "F32 [2, 2]");
  EXPECT_EQ(d.b, "F32 [2, 3]");
  const std::vector<float> norm = {1, 1};
  ASSERT_TRUE(WriteSafetensors(b_ + "/pretrain/checkpoint-10/optimizer.safetensors",
                               {{"norm", StoredType::kF32, {2}, norm.data()}}, {})
                  .ok());
  const RunDifference absent = Only();
  EXPECT_EQ(absent.name, "w");
  EXPECT_EQ(absent.b, "absent");
}

TEST_F(DiffRunsTest, TrainerState) {
  Write(b_ + "/rl/checkpoint-20/trainer_state.json", R"({"step": 20, "rng": {"counter": [1, 3]}})");
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "state");
  EXPECT_EQ(d.name, "rng.counter[1]");
  EXPECT_EQ(d.a, "2");
  EXPECT_EQ(d.b, "3");
}

TEST_F(DiffRunsTest, Completion) {
  Write(b_ + "/rl/completions/step_10.jsonl", R"({"step": 10, "completion": "yes so"})"
                                              "\n"
                                              R"({"step": 10, "completion": "wait 等"})"
                                              "\n");
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "completions");
  EXPECT_EQ(d.step, 10);
  EXPECT_EQ(d.index, 2);
  EXPECT_EQ(d.name, "completion");
  EXPECT_EQ(d.a, "'wait 等等'");
  EXPECT_EQ(d.b, "'wait 等'");
}

TEST_F(DiffRunsTest, LongTextsAreCutToWhereTheyPart) {
  const std::string start(5000, 'x');
  Write(a_ + "/rl/completions/step_2.jsonl", R"({"step": 2, "completion": ")" + start + "A\"}\n");
  Write(b_ + "/rl/completions/step_2.jsonl", R"({"step": 2, "completion": ")" + start + "B\"}\n");
  const RunDifference d = Only();
  EXPECT_EQ(d.a, "...'" + std::string(40, 'x') + "A'");
  EXPECT_EQ(d.b, "...'" + std::string(40, 'x') + "B'");
}

TEST_F(DiffRunsTest, EarliestFirst) {
  WriteTensors(b_ + "/rl/checkpoint-20/model.safetensors", {1, 2, 3, 5});
  WriteTensors(b_ + "/rl/checkpoint-10/model.safetensors", {1, 2, 3, 5});
  WriteTensors(b_ + "/rl/checkpoint-10/optimizer.safetensors", {1, 0, 0, 0});
  Write(b_ + "/rl/completions/step_10.jsonl", R"({"step": 10, "completion": "no"})"
                                              "\n");
  Write(b_ + "/results.json", R"({"stages": []})");
  const RunComparison comparison = Compare();
  ASSERT_EQ(comparison.differences.size(), 5U);
  EXPECT_EQ(comparison.differences[0].kind, "completions");
  EXPECT_EQ(comparison.differences[1].file, "rl/checkpoint-10/model.safetensors");
  EXPECT_EQ(comparison.differences[2].kind, "optimizer");
  EXPECT_EQ(comparison.differences[3].step, 20);
  EXPECT_EQ(comparison.differences[4].file, "results.json");
  EXPECT_EQ(comparison.differences[4].name, "stages");
}

TEST_F(DiffRunsTest, RunsOfDifferentLength) {
  Write(b_ + "/rl/metrics.jsonl", R"({"step": 1, "loss": 0.5})"
                                  "\n");
  ASSERT_TRUE(RemoveTree(b_ + "/rl/checkpoint-20").ok());
  const RunComparison comparison = Compare();
  ASSERT_EQ(comparison.differences.size(), 2U);
  EXPECT_EQ(comparison.differences[0].kind, "metrics");
  EXPECT_EQ(comparison.differences[0].step, 2);
  EXPECT_EQ(comparison.differences[0].a, "20 records");
  EXPECT_EQ(comparison.differences[0].b, "1 records");
  EXPECT_EQ(comparison.differences[1].kind, "missing");
  EXPECT_EQ(comparison.differences[1].a, "last checkpoint at step 20");
  EXPECT_EQ(comparison.differences[1].b, "last checkpoint at step 10");
}

TEST_F(DiffRunsTest, AnEarlierCheckpointThatOnlyOneKeptIsANote) {
  ASSERT_TRUE(RemoveTree(a_ + "/rl/checkpoint-10").ok());
  const RunComparison comparison = Compare();
  EXPECT_TRUE(comparison.identical());
  ASSERT_EQ(comparison.notes.size(), 1U);
  EXPECT_EQ(comparison.notes[0], "rl/checkpoint-10: only in " + b_);
}

TEST_F(DiffRunsTest, MissingFileAndStage) {
  ASSERT_TRUE(RemoveFile(b_ + "/rl/checkpoint-20/model.safetensors").ok());
  const RunDifference d = Only();
  EXPECT_EQ(d.kind, "missing");
  EXPECT_EQ(d.file, "rl/checkpoint-20/model.safetensors");
  EXPECT_EQ(d.b, "absent");
  ASSERT_TRUE(RemoveTree(b_ + "/rl").ok());
  const RunComparison comparison = Compare();
  EXPECT_FALSE(comparison.identical());
  EXPECT_EQ(comparison.differences[0].stage, "rl");
}

TEST_F(DiffRunsTest, OtherSettingsAreANote) {
  Write(b_ + "/recipe.toml", "seed = 2\noutput_dir = \"elsewhere\"\n");
  const RunComparison comparison = Compare();
  EXPECT_TRUE(comparison.identical());
  ASSERT_EQ(comparison.notes.size(), 1U);
  EXPECT_EQ(comparison.notes[0], "recipe.toml: seed is 1 | 2");
}

TEST_F(DiffRunsTest, LeftoversOfAKilledSaveAreSkipped) {
  Write(b_ + "/rl/checkpoint-30.tmp-123/model.safetensors", "half");
  EXPECT_TRUE(Compare().identical());
}

TEST_F(DiffRunsTest, Errors) {
  EXPECT_EQ(CompareRuns(a_, root_ + "/none").error().message, root_ + "/none: no such run folder");
  EXPECT_EQ(CompareRuns(a_, a_ + "/rl/completions").error().code, ErrorCode::kBadInput);
  Write(b_ + "/rl/metrics.jsonl", "{\"step\": 1\n");
  const auto broken = CompareRuns(a_, b_);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, ErrorCode::kBadInput);
  EXPECT_NE(broken.error().message.find("metrics.jsonl line 1"), std::string::npos) << broken.error().message;
  Write(b_ + "/rl/metrics.jsonl", "");
  Write(b_ + "/rl/checkpoint-20/model.safetensors", "short");
  EXPECT_EQ(CompareRuns(a_, b_).error().code, ErrorCode::kBadInput);
}

TEST(TensorDifference, BitsDecide) {
  const auto tensor = [](const std::vector<float>& values) {
    return StoredTensor{"t",
                        StoredType::kF32,
                        {static_cast<int64_t>(values.size())},
                        reinterpret_cast<const char*>(values.data()),
                        static_cast<int64_t>(values.size() * 4)};
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> plain = {0.0F, 1.0F}, negative = {-0.0F, 1.0F}, with_nan = {0.0F, nan};
  EXPECT_FALSE(TensorDifference(tensor(plain), tensor(plain)));
  EXPECT_FALSE(TensorDifference(tensor(with_nan), tensor(with_nan)));
  const auto zero = TensorDifference(tensor(plain), tensor(negative));
  ASSERT_TRUE(zero);
  EXPECT_EQ(zero->index, 0);
  EXPECT_EQ(zero->elements, 1);
  EXPECT_EQ(zero->max_abs, 0);
  const auto not_a_number = TensorDifference(tensor(plain), tensor(with_nan));
  ASSERT_TRUE(not_a_number);
  EXPECT_TRUE(std::isnan(not_a_number->max_abs));
}

TEST(TensorValue, NumberTypes) {
  const auto value = [](StoredType type, const std::vector<unsigned char>& bytes) {
    return TensorValue({"t", type, {}, reinterpret_cast<const char*>(bytes.data()), static_cast<int64_t>(bytes.size())},
                       0);
  };
  EXPECT_EQ(value(StoredType::kBF16, {0x40, 0xC0}), -3.0);
  EXPECT_EQ(value(StoredType::kF16, {0x00, 0x3C}), 1.0);
  EXPECT_EQ(value(StoredType::kF16, {0x01, 0x00}), std::ldexp(1, -24));
  EXPECT_EQ(value(StoredType::kF16, {0x00, 0xFC}), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value(StoredType::kI64, {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), -2.0);
  EXPECT_EQ(value(StoredType::kU8, {200}), 200.0);
}

TEST(IsVolatileField, Patterns) {
  for (const char* name :
       {"step_time", "time/rollout", "tokens_per_second", "eta", "eta_seconds", "peak_rss_bytes", "wall_time"})
    EXPECT_TRUE(IsVolatileField(name)) << name;
  for (const char* name :
       {"loss", "reward", "learning_rate", "num_tokens", "step", "logp_mismatch/max", "name", "entropy"})
    EXPECT_FALSE(IsVolatileField(name)) << name;
  EXPECT_TRUE(IsVolatileField("name", true));
}

}  // namespace
}  // namespace r1
