// What training keeps on disk: metrics that are cut to the checkpoint, checkpoints that give back
// every bit, refusals, and pretraining that goes on as if it had never stopped.
#include "train/run_files.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "model/io.h"
#include "train/pretrain.h"
#include "train/stage_test_util.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;

std::vector<std::string>& Logged() {
  static std::vector<std::string> lines;
  return lines;
}

std::string Text(const std::string& path) { return ReadFile(path, int64_t{1} << 30).value(); }
void Put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

class RunFiles : public testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    Logged().clear();
    SetLogSink([](LogLevel level, std::string_view line) {
      if (level >= LogLevel::kWarn) Logged().emplace_back(line);
    });
  }
  void TearDown() override {
    SetLogSink(nullptr);
    ClearInterrupt();
  }

  // Distinct values everywhere, so that any two swapped or lost show.
  static void Fill(Model& model, Trainer& trainer, uint64_t seed) {
    Rng rng(seed, Stream::kTest);
    for (int64_t i = 0; i < model.params().total; ++i) {
      model.data()[i] = static_cast<float>(rng.Normal());
      trainer.first_moment()[i] = static_cast<float>(rng.Normal());
      trainer.second_moment()[i] = static_cast<float>(rng.Uniform());
    }
  }
  // Parameters only: the padding between groups of the flat vector is nobody's.
  static bool SameBits(const Model& model, const float* a, const float* b) {
    for (const ParamSpec& spec : model.params().specs) {
      if (std::memcmp(a + spec.offset, b + spec.offset, static_cast<size_t>(spec.count()) * sizeof(float)) != 0)
        return false;
    }
    return true;
  }
  static TrainState State(int64_t step) { return {"rl", step, kSeed, 64, 12345, step, "hash"}; }

  static PretrainConfig Short() {
    PretrainConfig c;
    c.max_steps = 8;
    c.tokens_per_step = 512;
    c.optimizer.lr_scheduler_type = "constant";  // so that a shorter run is the beginning of a longer one
    c.save_steps = 3;
    return c;
  }
  static Status Pretrain(const PretrainConfig& config, const std::string& folder, int threads = 2,
                         const std::string& hash = "hash") {
    ThreadPool pool(threads);
    Model model(StageModelConfig(), true);
    model.Init(kSeed);
    return RunPretrain(model, StageTokenizer(), {}, config, kSeed, folder, hash, pool, "test");
  }
  TempDir dir_;
};

TEST_F(RunFiles, MetricsAreCutToTheStep) {
  const std::string path = dir_ / "metrics.jsonl";
  {
    auto file = MetricsFile::Open(path, 0);
    ASSERT_TRUE(file.ok());
    for (int64_t step = 1; step <= 5; ++step)
      ASSERT_TRUE(file->Write(step, {{"loss", 0.1 * static_cast<double>(step)}, {"grad_norm", 2.0}}).ok());
  }
  const std::string five = Text(path);
  EXPECT_EQ(five.substr(0, five.find('\n')), R"({"step":1,"loss":0.1,"grad_norm":2.0})");
  // A reader of step 3 keeps three lines; a torn last line goes.
  Put(path, five + "{\"step\":6,\"lo");
  ASSERT_TRUE(MetricsFile::Open(path, 5).ok());
  EXPECT_EQ(Text(path), five);
  {
    auto file = MetricsFile::Open(path, 3);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write(4, {{"loss", 0.4}, {"grad_norm", 2.0}}).ok());
  }
  EXPECT_EQ(Text(path), five.substr(0, five.rfind("{\"step\":5")));
  ASSERT_TRUE(MetricsFile::Open(path, 0).ok());
  EXPECT_EQ(Text(path), "");
}

TEST_F(RunFiles, BrokenMetricsLinesEndThere) {
  const std::string path = dir_ / "metrics.jsonl", good = "{\"step\":1,\"loss\":1.0}\n";
  for (const char* bad : {"{\"step\":\"two\"}\n", "{\"step\":null}\n", "{\"step\":2.5}\n", "[2]\n", "{\"loss\":1}\n",
                          "nonsense\n", "\n", "{\"step\":18446744073709551615}\n"}) {
    Put(path, good + bad + "{\"step\":3,\"loss\":1.0}\n");
    const auto file = MetricsFile::Open(path, 10);
    ASSERT_TRUE(file.ok()) << bad;
    EXPECT_EQ(Text(path), good) << bad;
  }
}

TEST_F(RunFiles, LostMetricsAreTold) {
  const std::string path = dir_ / "metrics.jsonl";
  Put(path, "{\"step\":1,\"loss\":1.0}\n{\"step\":2,\"loss\":1.0}\n");
  ASSERT_TRUE(MetricsFile::Open(path, 2).ok());
  EXPECT_TRUE(Logged().empty());
  ASSERT_TRUE(MetricsFile::Open(path, 5).ok());
  ASSERT_EQ(Logged().size(), 1u) << "steps 3 to 5 are in the checkpoint, but not here";
  EXPECT_NE(Logged()[0].find(path), std::string::npos) << Logged()[0];
}

TEST_F(RunFiles, NonFiniteMetricsAreStillJson) {
  const std::string path = dir_ / "metrics.jsonl";
  {
    auto file = MetricsFile::Open(path, 0);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write(1, {{"loss", NAN}, {"grad_norm", INFINITY}}).ok());
  }
  EXPECT_TRUE(ParseJson(Text(path), "metrics").ok()) << Text(path);
}

TEST_F(RunFiles, CheckpointGivesBackEveryBit) {
  ThreadPool pool(2);
  OptimizerConfig optimizer;
  Model model(StageModelConfig(), true), reference(StageModelConfig(), false);
  Trainer trainer(model, optimizer, pool);
  Fill(model, trainer, 1);
  for (int64_t i = 0; i < reference.params().total; ++i) reference.data()[i] = static_cast<float>(i);
  const StageFiles files{dir_ / "stage", 1, 2};
  ASSERT_FALSE(ResumeTraining(files, State(0), trainer, nullptr).value().has_value()) << "nothing there yet";
  const TrainState state = State(17);
  ASSERT_TRUE(SaveTraining(files, state, trainer, StageTokenizer(), &reference).ok());

  Model other(StageModelConfig(), true), other_reference(StageModelConfig(), false);
  Trainer second(other, optimizer, pool);
  Fill(other, second, 2);
  const auto resumed = ResumeTraining(files, State(0), second, &other_reference);
  ASSERT_TRUE(resumed.ok()) << resumed.error().message;
  ASSERT_TRUE(resumed->has_value());
  EXPECT_EQ((*resumed)->step, 17);
  EXPECT_EQ((*resumed)->cursor, 64u);
  EXPECT_EQ((*resumed)->num_tokens, 12345);
  EXPECT_EQ((*resumed)->optimizer_steps, 17);
  EXPECT_TRUE(SameBits(model, model.data(), other.data()));
  EXPECT_TRUE(SameBits(model, trainer.first_moment(), second.first_moment()));
  EXPECT_TRUE(SameBits(model, trainer.second_moment(), second.second_moment()));
  EXPECT_TRUE(SameBits(model, reference.data(), other_reference.data()));
}

TEST_F(RunFiles, FurtherVectorsAndTheValueModelsSteps) {
  ThreadPool pool(1);
  OptimizerConfig optimizer;
  Model model(StageModelConfig(), true);
  Trainer trainer(model, optimizer, pool);
  Fill(model, trainer, 1);
  ModelConfig config = StageModelConfig();
  config.num_labels = 1;
  config.num_nextn_predict_layers = 0;
  Model value(config, false), other(config, false);
  value.Init(4);
  const auto files_of = [](Model& m) {
    return std::vector<FlatFile>{{"value.safetensors", &m.params(), {{"", m.data()}}}};
  };
  const StageFiles files{dir_ / "stage", 1, 2};
  TrainState state = State(3);
  state.value_steps = 5;
  ASSERT_TRUE(SaveTraining(files, state, trainer, StageTokenizer(), nullptr, files_of(value)).ok());
  const auto resumed = ResumeTraining(files, State(0), trainer, nullptr, files_of(other));
  ASSERT_TRUE(resumed.ok()) << resumed.error().message;
  EXPECT_EQ((*resumed)->value_steps, 5);
  EXPECT_TRUE(SameBits(value, value.data(), other.data()));
  ASSERT_TRUE(SaveTraining(files, State(4), trainer, StageTokenizer(), nullptr).ok());
  EXPECT_EQ(Text(dir_ / "stage/checkpoint-4/trainer_state.json").find("value_steps"), std::string::npos)
      << "other stages keep their bytes";
  const auto missing = ResumeTraining(files, State(0), trainer, nullptr, files_of(other));
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("value.safetensors"), std::string::npos) << missing.error().message;
}

TEST_F(RunFiles, OtherSettingsAreRefused) {
  ThreadPool pool(1);
  Model model(StageModelConfig(), true);
  Trainer trainer(model, {}, pool);
  Fill(model, trainer, 1);
  const StageFiles files{dir_ / "stage", 1, 2};
  ASSERT_TRUE(SaveTraining(files, State(3), trainer, StageTokenizer(), nullptr).ok());
  TrainState kind = State(0), seed = State(0), hash = State(0);
  kind.kind = "pretrain";
  seed.seed = 8;
  hash.config_hash = "another";
  for (const auto& [expected, word] : {std::pair{kind, "stage kind"}, {seed, "seed 7, now 8"}, {hash, "config hash"}}) {
    const auto resumed = ResumeTraining(files, expected, trainer, nullptr);
    ASSERT_FALSE(resumed.ok());
    EXPECT_EQ(resumed.error().code, ErrorCode::kRefused);
    EXPECT_NE(resumed.error().message.find(word), std::string::npos) << resumed.error().message;
  }
}

// A checkpoint whose hashes are right but whose content is not what this program writes.
TEST_F(RunFiles, MalformedStateIsAnError) {
  ThreadPool pool(1);
  Model model(StageModelConfig(), true);
  Trainer trainer(model, {}, pool);
  const StageFiles files{dir_ / "stage", 1, 2};
  ASSERT_TRUE(SaveTraining(files, State(3), trainer, StageTokenizer(), nullptr).ok());
  const std::string from = dir_ / "stage/checkpoint-3", good = Text(JoinPath(from, "trainer_state.json"));
  const std::pair<const char*, const char*> changes[] = {{"\"step\"", "\"stop\""},
                                                         {"\"cursor\": 64", "\"cursor\": \"64\""},
                                                         {"\"cursor\": 64", "\"cursor\": 6.5"},
                                                         {"\"rl\"", "17"},
                                                         {"\"config_hash\"", "\"config\""},
                                                         {"{", "["},
                                                         {"}", ""},
                                                         {"\"step\": 3", "\"step\": -3"},
                                                         {"\"cursor\": 64", "\"cursor\": -1"}};
  for (const auto& [what, with] : changes) {
    std::string bad = good;
    ASSERT_NE(bad.find(what), std::string::npos) << what;
    bad.replace(bad.find(what), std::strlen(what), with);
    const StageFiles broken{dir_ / "broken", 1, 1};
    const auto write = [&](const std::string& folder) -> Status {
      for (const char* name : {"model.safetensors", "optimizer.safetensors"})
        R1_TRY(WriteFileAtomic(JoinPath(folder, name), Text(JoinPath(from, name))));
      return WriteFileAtomic(JoinPath(folder, "trainer_state.json"), bad);
    };
    ASSERT_TRUE(SaveCheckpoint(broken.folder, 3, write).ok());
    const auto resumed = ResumeTraining(broken, State(0), trainer, nullptr);
    ASSERT_FALSE(resumed.ok()) << bad;
    EXPECT_EQ(resumed.error().code, ErrorCode::kBadInput) << resumed.error().message;
    EXPECT_NE(resumed.error().message.find("trainer_state.json"), std::string::npos) << resumed.error().message;
  }
}

TEST_F(RunFiles, ResolveModelFolder) {
  EXPECT_EQ(ResolveModelFolder(dir_ / "none").error().code, ErrorCode::kBadInput);
  ASSERT_TRUE(MakeDirs(dir_ / "empty").ok());
  EXPECT_NE(ResolveModelFolder(dir_ / "empty").error().message.find("neither a config.json nor a checkpoint-N"),
            std::string::npos);
  ThreadPool pool(1);
  Model model(StageModelConfig(), true);
  Trainer trainer(model, {}, pool);
  for (const int64_t step : {2, 10})
    ASSERT_TRUE(SaveTraining({dir_ / "stage", 1, 0}, State(step), trainer, StageTokenizer(), nullptr).ok());
  EXPECT_EQ(ResolveModelFolder(dir_ / "stage").value(), dir_ / "stage/checkpoint-10");
  EXPECT_EQ(ResolveModelFolder(dir_ / "stage/checkpoint-2").value(), dir_ / "stage/checkpoint-2");
}

TEST_F(RunFiles, PretrainingGoesOnAsIfItHadNotStopped) {
  ASSERT_TRUE(Pretrain(Short(), dir_ / "whole").ok());
  const auto lines = StageMetrics(dir_ / "whole");
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_LT(lines[7].at("loss").get<double>(), lines[0].at("loss").get<double>() - 0.3) << "it learns";
  ASSERT_TRUE(Pretrain(Short(), dir_ / "one", 1).ok());
  ExpectSameStage(dir_ / "whole", dir_ / "one", 8);
  PretrainConfig part = Short();
  for (const int64_t steps : {1, 3, 7}) {
    part.max_steps = steps;
    ASSERT_TRUE(Pretrain(part, dir_ / "parts", 1 + static_cast<int>(steps % 2)).ok());
  }
  ASSERT_TRUE(Pretrain(Short(), dir_ / "parts").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "parts", 8);
  // Lines after the checkpoint that is gone on from are written again, not twice.
  ASSERT_TRUE(RemoveTree(dir_ / "parts/checkpoint-8").ok());
  ASSERT_TRUE(Pretrain(Short(), dir_ / "parts").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "parts", 8);
  EXPECT_TRUE(Logged().empty()) << Logged()[0];
}

TEST_F(RunFiles, InterruptedPretrainingSavesItsStep) {
  ASSERT_TRUE(Pretrain(Short(), dir_ / "whole").ok());
  RequestInterrupt();
  const Status stopped = Pretrain(Short(), dir_ / "stopped");
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(ListCheckpoints(dir_ / "stopped").value().back().step, 1);
  ClearInterrupt();
  ASSERT_TRUE(Pretrain(Short(), dir_ / "stopped").ok());
  ExpectSameStage(dir_ / "whole", dir_ / "stopped", 8);
}

TEST_F(RunFiles, DamagedNewestCheckpointFallsBack) {
  ASSERT_TRUE(Pretrain(Short(), dir_ / "whole").ok());
  ASSERT_TRUE(Pretrain(Short(), dir_ / "a").ok());
  std::string weights = Text(dir_ / "a/checkpoint-8/model.safetensors");
  weights[weights.size() / 2] ^= 1;
  Put(dir_ / "a/checkpoint-8/model.safetensors", weights);
  Logged().clear();
  ASSERT_TRUE(Pretrain(Short(), dir_ / "a").ok());
  ASSERT_EQ(Logged().size(), 2u);
  EXPECT_NE(Logged()[0].find("checkpoint-8' is damaged: 'model.safetensors'"), std::string::npos) << Logged()[0];
  EXPECT_NE(Logged()[1].find("checkpoint-6' instead"), std::string::npos) << Logged()[1];
  ExpectSameStage(dir_ / "whole", dir_ / "a", 8);
  EXPECT_TRUE(VerifyCheckpoint(dir_ / "a/checkpoint-8").ok());
}

// What a process killed after its last save leaves is cleared by the next start, although that has
// nothing to save.
TEST_F(RunFiles, LeftoversOfAKilledLastSaveGo) {
  ASSERT_TRUE(Pretrain(Short(), dir_ / "a").ok());
  const auto names = ListDir(dir_ / "a").value();
  ASSERT_TRUE(MakeDirs(dir_ / "a/checkpoint-8.tmp-123").ok());
  ASSERT_TRUE(MakeDirs(dir_ / "a/checkpoint-3.removing").ok());
  Put(dir_ / "a/checkpoint-3.removing/model.safetensors", "x");
  ASSERT_TRUE(Pretrain(Short(), dir_ / "a").ok());
  EXPECT_EQ(ListDir(dir_ / "a").value(), names);
}

}  // namespace
}  // namespace r1
