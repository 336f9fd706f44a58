// A recipe from its first line to the report: what is written, that a second run and another thread
// count give the same, what is refused, what an interrupt leaves. Kills and damage from outside are
// in tests/resume.
#include "recipe/run.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <fcntl.h>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/test_dir.h"
#include "recipe/diff_runs.h"
#include "store/checkpoint.h"

namespace r1 {
namespace {

constexpr const char* kRecipe = R"(name = "run-test"
seed = 7
[model]
preset = "tiny"
[tokenizer]
documents = 2000
[[stage]]
name = "pretrain"
kind = "pretrain"
max_steps = 24
tokens_per_step = 512
learning_rate = 1e-2
warmup_steps = 2
save_steps = 8
[[stage]]
name = "eval_base"
kind = "eval"
model = "pretrain"
problems = 6
samples = 4
max_completion_length = 24
general_problems = 6
verifier_probes = 6
traces = 3
[[stage]]
name = "zero"
kind = "rl"
model = "pretrain"
max_steps = 2
num_prompts = 4
num_generations = 4
max_completion_length = 24
reward_language = 0.5
save_steps = 1
log_completions_steps = 1
[[stage]]
name = "eval_zero"
kind = "eval"
model = "zero"
problems = 6
samples = 4
max_completion_length = 24
general_problems = 0
verifier_probes = 0
)";

using Overrides = std::vector<std::pair<std::string, std::string>>;

class RunRecipeTest : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kError); }
  void TearDown() override { ClearInterrupt(); }
  static Result<RunOutcome> Run(const std::string& folder, int64_t threads = 2, const Overrides& overrides = {}) {
    Result<Recipe> recipe = ParseRecipe(kRecipe, "recipe", overrides);
    if (!recipe.ok()) return recipe.error();
    return RunRecipe(*recipe, {.output_dir = folder, .threads = threads, .quiet = true, .command = "r1 run recipe"});
  }
  static std::string Text(const std::string& path) { return ReadFile(path, int64_t{1} << 30).value(); }
  // Path and content of every file below.
  static std::map<std::string, std::string> AllFiles(const std::string& folder, const std::string& prefix = "") {
    std::map<std::string, std::string> files;
    const std::vector<std::string> names = ListDir(folder).value();
    for (const std::string& name : names) {
      const std::string path = JoinPath(folder, name);
      if (IsDir(path)) {
        files.merge(AllFiles(path, prefix + name + "/"));
      } else {
        files[prefix + name] = Text(path);
      }
    }
    return files;
  }
  static void ExpectIdentical(const std::string& a, const std::string& b) {
    const Result<RunComparison> comparison = CompareRuns(a, b);
    ASSERT_TRUE(comparison.ok()) << comparison.error().message;
    EXPECT_TRUE(comparison->identical()) << DescribeDifference(comparison->differences[0]);
    EXPECT_EQ(comparison->stages.size(), 4u);
    EXPECT_GT(comparison->tensors, 50);
    EXPECT_GT(comparison->records, 14);
  }
  TempDir dir_;
};

TEST_F(RunRecipeTest, WritesARunAndTheSameAgain) {
  const Result<RunOutcome> done = Run(dir_ / "a", 2);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->folder, dir_ / "a");
  for (const char* name : {"recipe.toml", "tokenizer.json", "manifest.json", "results.json", "report.html",
                           "pretrain/metrics.jsonl", "pretrain/checkpoint-24/model.safetensors", "eval_base/eval.json",
                           "eval_base/traces.jsonl", "zero/metrics.jsonl", "zero/completions/step_2.jsonl",
                           "zero/checkpoint-2/trainer_state.json", "eval_zero/eval.json"}) {
    EXPECT_GT(FileSize(JoinPath(done->folder, name)).value(), 0) << name;
  }
  // Lineage: what a stage read is what the stage before wrote.
  const nlohmann::json manifest = ReadJsonFile(JoinPath(done->folder, "manifest.json")).value();
  const auto& stages = manifest.at("stages");
  ASSERT_EQ(stages.size(), 4u);
  const std::string base = Sha256(Text(JoinPath(done->folder, "pretrain/checkpoint-24/model.safetensors")));
  const std::string zero = Sha256(Text(JoinPath(done->folder, "zero/checkpoint-2/model.safetensors")));
  EXPECT_EQ(stages[0].at("result_sha256"), base);
  EXPECT_EQ(stages[0].at("checkpoint"), "pretrain/checkpoint-24");
  EXPECT_EQ(stages[1].at("model_sha256"), base);
  EXPECT_EQ(stages[2].at("model_sha256"), base);
  EXPECT_EQ(stages[2].at("result_sha256"), zero);
  EXPECT_EQ(stages[3].at("model_sha256"), zero);
  EXPECT_EQ(manifest.at("tokenizer_sha256"), Sha256(Text(JoinPath(done->folder, "tokenizer.json"))));
  // Results are those of the evaluations.
  const nlohmann::json results = ReadJsonFile(done->results_path).value();
  ASSERT_EQ(results.at("stages").size(), 2u);
  EXPECT_EQ(results["stages"][0].at("name"), "base");
  EXPECT_EQ(results["stages"][0].at("eval").at("pass@1"),
            ReadJsonFile(JoinPath(done->folder, "eval_base/eval.json")).value().at("pass@1"));
  EXPECT_EQ(results["stages"][1].at("name"), "zero");
  EXPECT_FALSE(results["stages"][1].at("eval").contains("general"));
  EXPECT_GT(results.at("times").at("total").get<double>(), 0);
  EXPECT_GE(results.at("tokens").at("pretrain").get<double>(), 24 * 512);

  // A second start finds all done. The files that say what was computed stay as they are, to the
  // byte.
  const auto before = AllFiles(done->folder);
  ASSERT_TRUE(Run(dir_ / "a", 1).ok());
  const auto after = AllFiles(done->folder);
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, text] : before) {
    if (name == "report.html") continue;  // says when it was made
    EXPECT_TRUE(after.at(name) == text) << name;
  }

  ASSERT_TRUE(Run(dir_ / "b", 1).ok());
  ExpectIdentical(dir_ / "a", dir_ / "b");
  // Byte for byte where no clock is involved.
  const auto other = AllFiles(dir_ / "b");
  for (const auto& [name, text] : before) {
    ASSERT_TRUE(other.contains(name)) << name;
    const bool volatile_fields = name.ends_with("metrics.jsonl") || name.ends_with("eval.json") ||
                                 name == "results.json" || name == "report.html";
    if (!volatile_fields) {
      EXPECT_TRUE(other.at(name) == text) << name;
    }
  }

  ASSERT_TRUE(Run(dir_ / "c", 2, {{"seed", "8"}}).ok());
  const Result<RunComparison> seeds = CompareRuns(dir_ / "a", dir_ / "c");
  ASSERT_TRUE(seeds.ok());
  EXPECT_FALSE(seeds->identical());
}

TEST_F(RunRecipeTest, InterruptsAtAnyStageGoOnTheSame) {
  ASSERT_TRUE(Run(dir_ / "whole").ok());
  // An interrupt that is there from the start stops after one step of training, or before an
  // evaluation: many starts, one step each.
  int starts = 0;
  for (;; ++starts) {
    ASSERT_LT(starts, 60);
    RequestInterrupt();
    const Result<RunOutcome> stopped = Run(dir_ / "stopped", 1 + starts % 2);
    ClearInterrupt();
    if (stopped.ok()) break;
    ASSERT_EQ(stopped.error().code, ErrorCode::kInterrupted) << stopped.error().message;
    if (!IsDir(dir_ / "stopped/pretrain") || !Exists(dir_ / "stopped/pretrain/checkpoint-24")) continue;
    break;
  }
  EXPECT_GT(starts, 5);
  RequestInterrupt();
  const Result<RunOutcome> evaluation = Run(dir_ / "stopped");
  ASSERT_FALSE(evaluation.ok()) << "the evaluation was not interrupted";
  EXPECT_EQ(evaluation.error().code, ErrorCode::kInterrupted);
  EXPECT_FALSE(Exists(dir_ / "stopped/eval_base/eval.json"));
  EXPECT_FALSE(Exists(dir_ / "stopped/results.json"));
  ClearInterrupt();
  ASSERT_TRUE(Run(dir_ / "stopped").ok());
  ExpectIdentical(dir_ / "whole", dir_ / "stopped");
}

TEST_F(RunRecipeTest, OtherSettingsInAUsedFolderAreRefused) {
  ASSERT_TRUE(Run(dir_ / "a").ok());
  const auto before = AllFiles(dir_ / "a");
  for (const auto& [name, value] : Overrides{{"seed", "8"},
                                             {"zero.max_steps", "3"},
                                             {"model.preset", "tiny-dense"},
                                             {"pretrain.learning_rate", "1e-3"}}) {
    const Result<RunOutcome> refused = Run(dir_ / "a", 2, {{name, value}});
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << refused.error().message;
    EXPECT_NE(refused.error().message.find("--output-dir"), std::string::npos) << refused.error().message;
  }
  EXPECT_TRUE(AllFiles(dir_ / "a") == before) << "nothing was touched";
  // Somebody edits the recipe in the folder to match: the stages still know what made them.
  std::string text = Text(dir_ / "a/recipe.toml");
  const size_t at = text.find("learning_rate = 0.01");
  ASSERT_NE(at, std::string::npos) << text;
  std::ofstream(dir_ / "a/recipe.toml") << text.replace(at, 20, "learning_rate = 0.02");
  const Result<RunOutcome> refused = Run(dir_ / "a", 2, {{"pretrain.learning_rate", "0.02"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << refused.error().message;
  EXPECT_NE(refused.error().message.find("config hash"), std::string::npos) << refused.error().message;
}

TEST_F(RunRecipeTest, ABusyFolderIsRefused) {
  ASSERT_TRUE(MakeDirs(dir_ / "a").ok());
  const int fd = open((dir_ / "a/.lock").c_str(), O_CREAT | O_RDWR, 0644);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  const Result<RunOutcome> refused = Run(dir_ / "a");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTryAgain);
  EXPECT_NE(refused.error().message.find("in use by another r1 process"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(Exists(dir_ / "a/recipe.toml")) << "nothing was written";
  close(fd);
  // A lock file that a dead process left is no lock.
  EXPECT_TRUE(Run(dir_ / "a").ok());
}

TEST_F(RunRecipeTest, LeftoversOfKilledProcessesGo) {
  ASSERT_TRUE(Run(dir_ / "a").ok());
  const auto before = AllFiles(dir_ / "a");
  const std::string leftovers[] = {"manifest.json.tmp-12-0", "eval_base/eval.json.tmp-123-45",
                                   "zero/completions/step_1.jsonl.tmp-9-9",
                                   "pretrain/checkpoint-24.tmp-77/model.safetensors"};
  const std::string kept[] = {"notes.tmp-1", "a.tmp-x-1", ".tmp-1-2", "zero/mine.tmp-1-"};
  ASSERT_TRUE(MakeDirs(dir_ / "a/pretrain/checkpoint-24.tmp-77").ok());
  for (const std::string& name : leftovers) std::ofstream(JoinPath(dir_ / "a", name)) << "x";
  for (const std::string& name : kept) std::ofstream(JoinPath(dir_ / "a", name)) << "x";
  ASSERT_TRUE(Run(dir_ / "a").ok());
  const auto after = AllFiles(dir_ / "a");
  for (const std::string& name : leftovers) EXPECT_FALSE(after.contains(name)) << name;
  for (const std::string& name : kept) EXPECT_TRUE(after.contains(name)) << name << " is somebody's own";
  EXPECT_EQ(after.size(), before.size() + std::size(kept));
}

TEST_F(RunRecipeTest, BadPlacesAndPieces) {
  // A file where the folder should be.
  std::ofstream(dir_ / "file") << "x";
  const Result<RunOutcome> in_file = Run(dir_ / "file/run");
  ASSERT_FALSE(in_file.ok());
  EXPECT_TRUE(in_file.error().code == ErrorCode::kCannotCreate || in_file.error().code == ErrorCode::kIo)
      << in_file.error().message;
  EXPECT_NE(in_file.error().message.find("file"), std::string::npos);
  // A vocabulary too small for the tokenizer.
  const Result<RunOutcome> small = Run(dir_ / "small", 2, {{"model.vocab_size", "32"}});
  ASSERT_FALSE(small.ok());
  EXPECT_EQ(small.error().code, ErrorCode::kRefused);
  EXPECT_NE(small.error().message.find("vocab_size is 32, but the tokenizer has"), std::string::npos)
      << small.error().message;
  // A tokenizer file that is none.
  ASSERT_TRUE(MakeDirs(dir_ / "broken").ok());
  std::ofstream(dir_ / "broken/tokenizer.json") << "{}";
  const Result<RunOutcome> broken = Run(dir_ / "broken");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, ErrorCode::kBadInput);
  EXPECT_NE(broken.error().message.find("tokenizer.json"), std::string::npos) << broken.error().message;
}

// The model of a stage may be a folder of another run.
TEST_F(RunRecipeTest, ModelFromAnotherRun) {
  ASSERT_TRUE(Run(dir_ / "a").ok());
  const std::string text =
      std::string(
          "name = \"more\"\nseed = 7\n[model]\npreset = \"tiny\"\n[tokenizer]\ndocuments = "
          "2000\n[[stage]]\nname = \"zero\"\nkind = \"rl\"\nmodel = \"") +
      (dir_ / "a/pretrain") +
      "\"\nmax_steps = 2\nnum_prompts = 4\nnum_generations = 4\nreward_language = 0.5\nmax_completion_length = "
      "24\nsave_steps = 1\nlog_completions_steps = 1\n";
  Result<Recipe> recipe = ParseRecipe(text, "more", {});
  ASSERT_TRUE(recipe.ok()) << recipe.error().message;
  const Result<RunOutcome> done =
      RunRecipe(*recipe, {.output_dir = dir_ / "more", .threads = 2, .quiet = true, .command = ""});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_TRUE(Text(dir_ / "more/zero/checkpoint-2/model.safetensors") ==
              Text(dir_ / "a/zero/checkpoint-2/model.safetensors"))
      << "the same stage from the same model";
  // A changed model is noticed: the run is not continued on other weights.
  ASSERT_TRUE(RemoveTree(dir_ / "a/pretrain/checkpoint-24").ok());
  const Result<RunOutcome> refused =
      RunRecipe(*recipe, {.output_dir = dir_ / "more", .threads = 2, .quiet = true, .command = ""});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << refused.error().message;
}

TEST_F(RunRecipeTest, PlanNamesTheStages) {
  Result<Recipe> recipe = ParseRecipe(kRecipe, "recipe", {});
  ASSERT_TRUE(recipe.ok());
  const Result<std::string> plan = PlanText(*recipe, 1);
  ASSERT_TRUE(plan.ok());
  for (const char* part : {"pretrain", "eval_base", "zero", "eval_zero", "24 steps x 512 tokens",
                           "2 steps x 4 prompts x 4 samples", "threads 1", "parameters", "memory"}) {
    EXPECT_NE(plan->find(part), std::string::npos) << part << " in\n" << *plan;
  }
}

TEST_F(RunRecipeTest, PlanCountsDataFilesAndTheValueModel) {
  const std::string data = dir_ / "data.jsonl";
  ASSERT_TRUE(WriteFileAtomic(data, std::string(60000, ' ')).ok());
  const std::string text = std::string(kRecipe) +
                           "\n[[stage]]\nname = \"more\"\nkind = \"sft\"\nmodel = \"pretrain\"\ndata = \"" + data +
                           "\"\nnum_train_epochs = 5\n";
  Result<Recipe> without = ParseRecipe(text, "recipe", {});
  ASSERT_TRUE(without.ok()) << without.error().message;
  const Result<std::string> plan = PlanText(*without, 1);
  ASSERT_TRUE(plan.ok());
  EXPECT_NE(plan->find("about 0.05 M tokens"), std::string::npos) << *plan;
  EXPECT_EQ(plan->find("value model"), std::string::npos);
  Result<Recipe> with = ParseRecipe(text +
                                        "\n[[stage]]\nname = \"ppo\"\nkind = \"rl\"\nmodel = \"pretrain\"\nalgorithm = "
                                        "\"ppo\"\nmax_steps = 2\nmax_completion_length = 24\n",
                                    "recipe", {});
  ASSERT_TRUE(with.ok()) << with.error().message;
  const Result<std::string> more = PlanText(*with, 1);
  ASSERT_TRUE(more.ok());
  EXPECT_NE(more->find("value model"), std::string::npos) << *more;
}

// A stage that cannot fit is refused with the numbers before anything is allocated; with an adapter less is needed.
TEST_F(RunRecipeTest, PlanRefusesWhatCannotFit) {
  const std::string text =
      "name = \"big\"\n[model]\npreset = \"mini-dense\"\nhidden_size = 65536\n"
      "intermediate_size = 262144\nnum_hidden_layers = 100\nvocab_size = 128000\n"
      "[[stage]]\nname = \"pretrain\"\nkind = \"pretrain\"\n";
  Result<Recipe> recipe = ParseRecipe(text, "recipe", {});
  ASSERT_TRUE(recipe.ok()) << recipe.error().message;
  const Result<std::string> plan = PlanText(*recipe, 1);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused);
  for (const char* part :
       {"stage 'pretrain': needs about", "TB: weights", "gradients", "optimizer", "activations", "on this machine"})
    EXPECT_NE(plan.error().message.find(part), std::string::npos) << plan.error().message;
}

// An adapter in a recipe: later stages read its stage's result as a model, and the plan says how little is trained.
TEST_F(RunRecipeTest, StagesWithAdapters) {
  const std::string data = dir_ / "data.jsonl";
  std::string lines;
  for (int i = 0; i < 20; ++i) lines += "{\"prompt\": \"pick 1 2 3\", \"completion\": \"<think> 1 + 2 </think>\"}\n";
  ASSERT_TRUE(WriteFileAtomic(data, lines).ok());
  const std::string text =
      std::string(kRecipe) + "\n[[stage]]\nname = \"tuned\"\nkind = \"sft\"\nmodel = \"pretrain\"\ndata = \"" + data +
      "\"\nlora_r = 4\nlora_alpha = 8\nnum_train_epochs = 1\n"
      "\n[[stage]]\nname = \"reasoner\"\nkind = \"rl\"\nmodel = \"tuned\"\nlora_r = 2\n"
      "lora_target_modules = \"o_proj,down_proj\"\nmax_steps = 2\nnum_prompts = 4\nnum_generations = 4\n"
      "max_completion_length = 24\nbeta = 0.01\n";
  Result<Recipe> recipe = ParseRecipe(text, "recipe", {});
  ASSERT_TRUE(recipe.ok()) << recipe.error().message;
  const Result<std::string> plan = PlanText(*recipe, 1);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  for (const char* part : {"(LoRA of rank 4)", "(LoRA of rank 2)", "parameters are trained"})
    EXPECT_NE(plan->find(part), std::string::npos) << part << " in\n" << *plan;
  EXPECT_EQ(plan->find("reference model"), std::string::npos) << *plan;
  const Result<RunOutcome> done =
      RunRecipe(*recipe, {.output_dir = dir_ / "lora", .threads = 2, .quiet = true, .command = ""});
  ASSERT_TRUE(done.ok()) << done.error().message;
  const std::string adapter = Text(dir_ / "lora/reasoner/checkpoint-2/adapter/adapter_config.json");
  EXPECT_NE(adapter.find("\"base_model_name_or_path\": \"tuned/checkpoint-"), std::string::npos) << adapter;
  EXPECT_TRUE(Exists(dir_ / "lora/reasoner/checkpoint-2/model.safetensors"));
  EXPECT_NE(Text(dir_ / "lora/recipe.toml").find("lora_target_modules = \"o_proj,down_proj\""), std::string::npos);
}

TEST(RunFolder, DefaultName) {
  Recipe recipe;
  recipe.name = "x";
  recipe.seed = 4;
  EXPECT_EQ(RunFolder(recipe, {}), "runs/x-seed4");
  RunOptions options;
  options.output_dir = "here";
  EXPECT_EQ(RunFolder(recipe, options), "here");
}

}  // namespace
}  // namespace r1
