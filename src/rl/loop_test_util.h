// For tests of the RL loop: a base model trained for seconds once a program, runs on it, and comparisons of runs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/test_dir.h"
#include "data/corpus_stream.h"
#include "model/io.h"
#include "rl/loop.h"
#include "store/checkpoint.h"
#include "train/pretrain.h"

namespace r1 {

inline constexpr uint64_t kLoopSeed = 7;
inline constexpr const char* kLoopHash = "hash";

struct LoopWorld {
  LoopWorld() : tokenizer(TrainTokenizer(kLoopSeed, 2000).value()) {
    ThreadPool pool(2);
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = kernels::RoundUp(tokenizer.size(), 32);
    Model model(config, true);
    model.Init(kLoopSeed);
    PretrainConfig pretrain;
    pretrain.max_steps = 150;
    pretrain.tokens_per_step = 1024;
    pretrain.optimizer.learning_rate = 1e-2;
    pretrain.optimizer.warmup_steps = 10;
    pretrain.save_steps = 0;
    done = RunPretrain(model, tokenizer, {}, pretrain, kLoopSeed, dir / "base", kLoopHash, pool, "base");
    if (done.ok()) base = ResolveModelFolder(dir / "base").value();
  }
  Tokenizer tokenizer;
  TempDir dir;
  Status done;
  std::string base;
};

class LoopTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    SetFloatMode();
    SetLogLevel(LogLevel::kError);
    ASSERT_TRUE(World().done.ok()) << World().done.error().message;
  }
  void TearDown() override { ClearInterrupt(); }

  static LoopWorld& World() {
    static LoopWorld world;
    return world;
  }
  static RlConfig Small() {
    RlConfig c;
    c.max_steps = 4;
    c.num_prompts = 6;
    c.num_generations = 6;
    c.max_completion_length = 32;
    c.optimizer.learning_rate = 1e-3;
    c.reward_language = 0.3;
    c.save_steps = 2;
    c.log_completions_steps = 2;
    return c;
  }

  static Status Run(const RlConfig& config, const std::string& folder, int threads = 2, uint64_t seed = kLoopSeed,
                    const std::string& hash = kLoopHash, const RlHooks& hooks = {}) {
    ThreadPool pool(threads);
    Result<Model> model = LoadModel(World().base, true, pool);
    if (!model.ok()) return model.error();
    return RunRl(*model, World().tokenizer, config, seed, folder, hash, pool, "test", hooks);
  }

  // metrics.jsonl without what depends on the clock.
  static std::vector<nlohmann::json> MetricsOf(const std::string& folder) {
    std::ifstream file(JoinPath(folder, "metrics.jsonl"));
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) {
      nlohmann::json j = ParseJson(line, "metrics").value();
      for (const char* name : {"step_time", "time/rollout", "time/grade", "time/train", "tokens_per_second"}) {
        EXPECT_TRUE(j.contains(name)) << name;
        j.erase(name);
      }
      lines.push_back(j);
    }
    return lines;
  }
  static std::string FileOf(const std::string& folder, int64_t step, const std::string& name) {
    return ReadFile(JoinPath(folder, "checkpoint-" + std::to_string(step) + "/" + name), int64_t{1} << 30).value();
  }
  // The last checkpoints (every file of them), the metrics and the completions are equal.
  static void ExpectSameRun(const std::string& a, const std::string& b, int64_t step,
                            const std::vector<std::string>& also = {}) {
    const auto files = ListDir(JoinPath(a, "checkpoint-" + std::to_string(step))).value();
    for (const std::string& name : also) EXPECT_EQ(std::count(files.begin(), files.end(), name), 1) << name;
    EXPECT_EQ(files, ListDir(JoinPath(b, "checkpoint-" + std::to_string(step))).value());
    for (const std::string& name : files) EXPECT_TRUE(FileOf(a, step, name) == FileOf(b, step, name)) << name;
    EXPECT_EQ(MetricsOf(a), MetricsOf(b));
    const auto names = ListDir(JoinPath(a, "completions")).value();
    for (const std::string& name : names) {
      EXPECT_EQ(ReadFile(JoinPath(a, "completions/" + name), 1 << 28).value(),
                ReadFile(JoinPath(b, "completions/" + name), 1 << 28).value())
          << name;
    }
  }
  static double Sum(const std::vector<nlohmann::json>& lines, const char* name) {
    double sum = 0;
    for (const auto& line : lines) sum += line.at(name).get<double>();
    return sum;
  }

  TempDir dir_;
};

}  // namespace r1
