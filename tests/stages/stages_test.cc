// The stage commands (sft, rl, rm, sample, distill) from outside, on small random models of published shapes with a
// published tokenizer and its template (minimind's, R1_DATA), GSM8K problems and hh-rlhf pairs.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/test_dir.h"
#include "data/model_text.h"
#include "model/io.h"
#include "support/program.h"
#include "text/published_test_util.h"

namespace r1 {
namespace {

using nlohmann::json;
using published::DataFolder;
using published::Lines;

#define NEED(...)                                                                                                   \
  for (const std::filesystem::path& needed : {__VA_ARGS__}) {                                                       \
    if (!std::filesystem::exists(needed)) GTEST_SKIP() << "missing: " << needed << " (R1_DATA says where data is)"; \
  }

constexpr int kRows = 40;

class StagesTest : public ::testing::Test {
 protected:
  static std::filesystem::path Tokenizers() { return DataFolder() / "tokenizers" / "minimind"; }
  static std::filesystem::path Gsm8k() { return DataFolder() / "maths" / "gsm8k_train.jsonl"; }
  static std::filesystem::path Pairs() { return DataFolder() / "safety" / "hh_harmless_test.jsonl.gz"; }

  // A folder as published: random weights in the shape of the preset, and the tokenizer's files. Many tokens end a
  // reply, so that random models come to an end.
  std::string MakeModel(const std::string& preset, uint64_t seed = 3) {
    const std::string folder = dir_ / ("model-" + preset + "-" + std::to_string(seed));
    EXPECT_TRUE(MakeDirs(folder).ok());
    ThreadPool pool(2);
    ModelConfig config = ModelPreset(preset).value();
    config.vocab_size = 6400;
    config.max_position_embeddings = 2048;
    Model model(config, true);
    model.Init(seed);
    EXPECT_TRUE(WriteModelFiles(folder, model, 1, 2).ok());
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      EXPECT_TRUE(WriteFileAtomic(JoinPath(folder, name), published::ReadAll(Tokenizers() / name)).ok());
    json generation = {{"bos_token_id", 1}, {"eos_token_id", json::array({2})}, {"top_k", 20}};
    for (int id = 600; id < 1200; ++id) generation["eos_token_id"].push_back(id);
    EXPECT_TRUE(WriteFileAtomic(JoinPath(folder, "generation_config.json"), generation.dump()).ok());
    return folder;
  }
  // The first rows of GSM8K as they are.
  std::string Problems() {
    std::string text;
    const std::vector<std::string> lines = Lines(published::ReadAll(Gsm8k()));
    for (size_t i = 0; i < kRows; ++i) text += lines[i] + "\n";
    EXPECT_TRUE(WriteFileAtomic(dir_ / "gsm8k.jsonl", text).ok());
    return dir_ / "gsm8k.jsonl";
  }
  // The same as conversations of a system, a user and an assistant; every fourth has a second turn.
  std::string Conversations() {
    std::string text;
    const std::vector<std::string> lines = Lines(published::ReadAll(Gsm8k()));
    for (size_t i = 0; i < kRows; ++i) {
      const json row = json::parse(lines[i]), next = json::parse(lines[i + 1]);
      json messages = json::array({{{"role", "system"}, {"content", "Solve the problem."}},
                                   {{"role", "user"}, {"content", row["question"]}},
                                   {{"role", "assistant"}, {"content", row["answer"]}}});
      if (i % 4 == 0) {
        messages.push_back({{"role", "user"}, {"content", next["question"]}});
        messages.push_back({{"role", "assistant"}, {"content", next["answer"]}, {"reasoning_content", "step by step"}});
      }
      text += json{{"messages", messages}}.dump() + "\n";
    }
    EXPECT_TRUE(WriteFileAtomic(dir_ / "conversations.jsonl", text).ok());
    return dir_ / "conversations.jsonl";
  }

  Outcome R1(std::vector<std::string> words) {
    words.insert(words.begin(), R1_BINARY);
    for (const char* word : {"--json", "--threads", "2"}) words.emplace_back(word);
    const Outcome outcome = Execute(words);
    EXPECT_EQ(outcome.code, 0) << words[1] << ": " << outcome.text();
    return outcome;
  }
  static std::vector<json> Metrics(const std::string& stage) {
    std::vector<json> lines;
    for (const std::string& line : Lines(published::ReadAll(JoinPath(stage, "metrics.jsonl"))))
      lines.push_back(json::parse(line));
    return lines;
  }
  // Everything that a loader of Hugging Face folders asks for, with the model's own text format.
  static void ExpectFolder(const std::string& checkpoint, const std::string& model) {
    for (const char* name : {"config.json", "model.safetensors"}) EXPECT_TRUE(Exists(JoinPath(checkpoint, name)));
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      EXPECT_EQ(Slurp(JoinPath(checkpoint, name)), Slurp(JoinPath(model, name))) << name;
    const json generation = json::parse(Slurp(JoinPath(checkpoint, "generation_config.json")));
    EXPECT_EQ(generation["top_k"], 20);
    EXPECT_EQ(ModelText::Load(checkpoint)->identity(), ModelText::Load(model)->identity());
  }
  static void ExpectFinite(const std::vector<json>& metrics, size_t steps) {
    ASSERT_EQ(metrics.size(), steps);
    for (const json& line : metrics) EXPECT_TRUE(line["loss"].is_number() && line["grad_norm"].is_number()) << line;
  }
  // As many steps as there are documents: a step takes whole documents until it has enough tokens.
  void Sft(const std::string& model, const std::string& run, const std::string& data, int64_t tokens_per_step) {
    R1({"sft", model, "--data", data, "--output-dir", run, "--num-train-epochs", "1", "--tokens-per-step",
        std::to_string(tokens_per_step), "--grad-shards", "2"});
  }
  void Rl(const std::string& model, const std::string& run, const std::string& problems, int steps) {
    R1({"rl",
        model,
        "--data",
        problems,
        "--output-dir",
        run,
        "--max-steps",
        std::to_string(steps),
        "--num-prompts",
        "2",
        "--num-generations",
        "3",
        "--max-completion-length",
        "24",
        "--system-prompt",
        "Think.",
        "--reply-form", "ended", "--log-completions-steps",
        "1",
        "--beta",
        "0.01",
        "--grad-shards",
        "2"});
    const std::vector<json> metrics = Metrics(JoinPath(run, "rl"));
    ExpectFinite(metrics, static_cast<size_t>(steps));
    double rewards = 0;  // random models get those of form: some replies end in time
    for (const json& line : metrics) rewards += line["reward"].get<double>();
    EXPECT_GT(rewards, 0);
    for (const json& line : metrics) {
      EXPECT_EQ(line["logp_mismatch/max"], 0.0);
      EXPECT_EQ(line["logp_mismatch/tokens"], 0.0);
      EXPECT_TRUE(line.contains("rewards/accuracy/mean") && line.contains("rewards/format/mean")) << line;
      EXPECT_TRUE(line.contains("tasks/data/accuracy")) << line;
    }
  }

  TempDir dir_;
};

TEST_F(StagesTest, TenStepsOfEveryStageOnAQwen2) {
  NEED(Tokenizers() / "tokenizer.json", Gsm8k(), Pairs())
  const std::string model = MakeModel("tiny-qwen2");
  const std::string run = dir_ / "sft";
  Sft(model, run, Conversations(), 700);
  const std::vector<json> sft = Metrics(JoinPath(run, "sft"));
  ASSERT_GE(sft.size(), 10u);
  ExpectFinite(sft, sft.size());
  EXPECT_LT(sft.back()["loss"].get<double>(), sft.front()["loss"].get<double>());
  const std::string tuned = JoinPath(run, "sft/checkpoint-" + std::to_string(sft.size()));
  ExpectFolder(tuned, model);
  const std::string config = Slurp(JoinPath(tuned, "config.json"));
  EXPECT_EQ(json::parse(config)["model_type"], "qwen2");

  const std::string problems = Problems();
  Rl(tuned, dir_ / "rl", problems, 10);
  ExpectFolder(dir_ / "rl/rl/checkpoint-10", model);
  const std::vector<std::string> completions = Lines(Slurp(dir_ / "rl/rl/completions/step_1.jsonl"));
  ASSERT_EQ(completions.size(), 6u);
  EXPECT_EQ(json::parse(completions[0])["task"], "data");

  const std::string dialogues = dir_ / "pairs.jsonl";
  std::string pairs;
  ASSERT_EQ(Execute({"gzip", "-dc", Pairs().string()}, dir_ / "all.jsonl").code, 0);
  for (const std::string& line : Lines(Slurp(dir_ / "all.jsonl"))) {
    if (line.size() < 1500 && std::count(pairs.begin(), pairs.end(), '\n') < 60) pairs += line + "\n";
  }
  ASSERT_TRUE(WriteFileAtomic(dialogues, pairs).ok());
  R1({"rm", model, "--kind", "helpful", "--data", dialogues, "--output-dir", dir_ / "rm", "--num-train-epochs", "1",
      "--batch-pairs", "5", "--grad-shards", "2"});
  const std::vector<json> rm = Metrics(dir_ / "rm/rm");
  ASSERT_GE(rm.size(), 10u);
  ExpectFinite(rm, rm.size());
  ExpectFolder(dir_ / ("rm/rm/checkpoint-" + std::to_string(rm.size())), model);

  R1({"sample", model, "--problems-file", problems, "--problems", "20", "--num-generations", "4",
      "--max-completion-length", "40", "--keep-correct", "false", "--keep-well-formed", "false",
      "--max-other-language=-1", "--output-dir", dir_ / "sample"});
  const json stats = json::parse(Slurp(dir_ / "sample/sample/stats.json"));
  EXPECT_EQ(stats["samples"], 80);
  EXPECT_GT(stats["kept"].get<int>(), 0);
  EXPECT_EQ(stats["general"], 0);
  const json sample = json::parse(Lines(Slurp(dir_ / "sample/sample/samples.jsonl"))[0]);
  const std::vector<std::string> rows = Lines(Slurp(problems));
  EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const std::string& row) {
    return json::parse(row)["question"] == sample["messages"][0]["content"];
  })) << sample;

  R1({"distill",
      MakeModel("tiny-qwen2", 4),
      "--teacher",
      tuned,
      "--problems-file",
      problems,
      "--problems",
      "40",
      "--num-generations",
      "4",
      "--max-completion-length",
      "40",
      "--keep-correct",
      "false",
      "--keep-well-formed",
      "false",
      "--max-other-language=-1",
      "--tokens-per-step",
      "500",
      "--num-train-epochs",
      "1",
      "--output-dir",
      dir_ / "distill",
      "--grad-shards",
      "2"});
  const std::vector<json> distill = Metrics(dir_ / "distill/sft");
  EXPECT_GE(distill.size(), 10u);
  ExpectFinite(distill, distill.size());
  ExpectFolder(dir_ / ("distill/sft/checkpoint-" + std::to_string(distill.size())), model);

  // And the result answers in its format.
  const Outcome answer = R1({"generate", dir_ / "distill/sft", "2 + 2?", "--system-prompt", "Be short."});
  EXPECT_GT(json::parse(answer.out)["prompt_tokens"].get<int>(), 10);
}

TEST_F(StagesTest, SftAndRlOnOtherShapes) {
  NEED(Tokenizers() / "tokenizer.json", Gsm8k())
  for (const char* preset : {"tiny-llama3", "tiny"}) {
    SCOPED_TRACE(preset);
    const std::string model = MakeModel(preset), run = dir_ / (std::string("sft-") + preset);
    Sft(model, run, Conversations(), 4000);
    const std::vector<json> sft = Metrics(JoinPath(run, "sft"));
    ASSERT_GE(sft.size(), 2u);
    ExpectFinite(sft, sft.size());
    const std::string tuned = JoinPath(run, "sft/checkpoint-" + std::to_string(sft.size()));
    ExpectFolder(tuned, model);
    Rl(tuned, dir_ / (std::string("rl-") + preset), Problems(), 3);
  }
}

TEST_F(StagesTest, WhatIsOfTheWorldIsRefusedByName) {
  NEED(Tokenizers() / "tokenizer.json")
  const std::string model = MakeModel("tiny-qwen2");
  const Outcome eval = Execute({R1_BINARY, "eval", model});
  EXPECT_EQ(eval.code, 78);
  EXPECT_NE(eval.err.find("its own chat format"), std::string::npos) << eval.text();
  const Outcome rl = Execute({R1_BINARY, "rl", model, "--eval-steps", "1", "--output-dir", dir_ / "x"});
  EXPECT_EQ(rl.code, 78);
  EXPECT_NE(rl.text().find("built-in world"), std::string::npos) << rl.text();
  const Outcome none = Execute({R1_BINARY, "rl", model, "--task", "data", "--output-dir", dir_ / "y"});
  EXPECT_EQ(none.code, 65);
  EXPECT_NE(none.text().find("there are no problems"), std::string::npos) << none.text();
}

}  // namespace
}  // namespace r1
