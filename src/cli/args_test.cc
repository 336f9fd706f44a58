#include "cli/args.h"

#include <gtest/gtest.h>

namespace r1::cli {
namespace {

struct Optimizer {
  double learning_rate = 0.001;
  int64_t steps = 10;
  template <class V>
  void Fields(V& v) {
    v("learning_rate", learning_rate, "peak learning rate");
    v("steps", steps, "optimizer steps");
  }
};

struct Settings {
  Optimizer optimizer;
  int64_t num_generations = 8;
  bool stream = true;
  std::string algorithm = "grpo";
  std::string output_dir;
  int64_t warmup_steps = 0;
  template <class V>
  void Fields(V& v) {
    v("optimizer", optimizer, "");
    v("num_generations", num_generations, "samples of a prompt");
    v("stream", stream, "print as it comes");
    v("algorithm", algorithm, "how to learn: grpo|ppo|rloo");
    v("output_dir", output_dir, "where to write");
    v("warmup_steps", warmup_steps, "steps");
  }
};

struct TwoOptimizers {
  Optimizer first, second;
  template <class V>
  void Fields(V& v) {
    v("first", first, "");
    v("second", second, "");
  }
};

class ArgsTest : public ::testing::Test {
 protected:
  ArgsTest() {
    command_.name = "try";
    command_.fields = [this] { return CollectFields(settings_); };
    command_.reports = true;
    command_.positionals = {{"RUN", "a run"}, {"MORE", "more runs", false, true}};
  }

  // Reads and stores; the message, or "".
  std::string Apply(const std::vector<std::string>& words) {
    Result<Arguments> read = ReadArguments(command_, command_.fields(), words);
    if (!read.ok()) {
      EXPECT_EQ(read.error().code, ErrorCode::kUsage);
      return read.error().message;
    }
    arguments_ = *read;
    for (const Setting& setting : arguments_.settings) {
      if (Status set = SetField(setting.field, setting.text); !set.ok()) return set.error().message;
    }
    return "";
  }

  Settings settings_;
  Command command_;
  Arguments arguments_;
};

TEST_F(ArgsTest, EveryFormOfAnOption) {
  ASSERT_EQ(
      Apply({"r", "--num-generations", "3", "--optimizer.learning_rate=2e-4", "--algorithm=ppo", "--output_dir="}), "");
  EXPECT_EQ(settings_.num_generations, 3);
  EXPECT_EQ(settings_.optimizer.learning_rate, 2e-4);
  EXPECT_EQ(settings_.algorithm, "ppo");
  EXPECT_EQ(settings_.output_dir, "");
  ASSERT_EQ(Apply({"r", "--num_generations=4", "--optimizer.learning-rate", "-0.5"}), "");
  EXPECT_EQ(settings_.num_generations, 4);
  EXPECT_EQ(settings_.optimizer.learning_rate, -0.5);
}

TEST_F(ArgsTest, Flags) {
  ASSERT_EQ(Apply({"r", "--stream=false"}), "");
  EXPECT_FALSE(settings_.stream);
  ASSERT_EQ(Apply({"r", "--stream"}), "");
  EXPECT_TRUE(settings_.stream);
  ASSERT_EQ(Apply({"r", "--no-stream"}), "");
  EXPECT_FALSE(settings_.stream);
  ASSERT_EQ(Apply({"r", "--stream", "true", "last"}), "");
  EXPECT_TRUE(settings_.stream);
  EXPECT_EQ(arguments_.positionals, (std::vector<std::string>{"r", "last"}));
  ASSERT_EQ(Apply({"--stream", "r"}), "");  // a word that is no truth value stays a positional
  EXPECT_EQ(arguments_.positionals, (std::vector<std::string>{"r"}));
  EXPECT_NE(Apply({"r", "--stream=maybe"}), "");
  EXPECT_EQ(Apply({"r", "--no-stream=false"}), "--no-stream takes no value");
  EXPECT_EQ(Apply({"r", "--no-algorithm"}), "--no-algorithm: only on/off options have a 'no-' form");
}

TEST_F(ArgsTest, TheLaterValueHolds) {
  ASSERT_EQ(Apply({"r", "--num-generations=3", "--num_generations=5"}), "");
  EXPECT_EQ(settings_.num_generations, 5);
}

TEST_F(ArgsTest, ShortNamesOfNestedSettings) {
  ASSERT_EQ(Apply({"r", "--learning-rate=0.5"}), "");
  EXPECT_EQ(settings_.optimizer.learning_rate, 0.5);
  TwoOptimizers two;
  command_.fields = [&two] { return CollectFields(two); };
  EXPECT_EQ(Apply({"r", "--learning-rate=0.5"}),
            "option '--learning-rate' could be --first.learning-rate, --second.learning-rate: write it in full");
}

TEST_F(ArgsTest, UnknownNamesGetTheNearest) {
  EXPECT_EQ(Apply({"r", "--num-generatoins=3"}),
            "unknown option '--num-generatoins'; did you mean '--num-generations'?");
  EXPECT_EQ(Apply({"r", "--lerning_rate=3"}), "unknown option '--lerning-rate'; did you mean '--learning-rate'?");
  EXPECT_EQ(Apply({"r", "--jsno"}), "unknown option '--jsno'; did you mean '--json'?");
  EXPECT_EQ(Apply({"r", "--zzzzzzzzzzz"}), "unknown option '--zzzzzzzzzzz'; see 'r1 try --help'");
  EXPECT_EQ(Apply({"r", "-v"}), "unknown option '-v'; options are written with two dashes, see 'r1 try --help'");
}

TEST_F(ArgsTest, MissingValues) {
  EXPECT_EQ(Apply({"r", "--num-generations"}), "--num-generations needs a value: --num-generations=VALUE");
  EXPECT_EQ(Apply({"r", "--num-generations", "--json"}),
            "--num-generations needs a value: --num-generations=VALUE (found '--json' instead)");
  EXPECT_EQ(Apply({"r", "--config"}), "--config needs FILE: --config=VALUE");
}

TEST_F(ArgsTest, WrongTypes) {
  EXPECT_EQ(Apply({"r", "--num-generations=many"}), "num_generations: 'many' is not a whole number");
  EXPECT_EQ(Apply({"r", "--num-generations=2.5"}), "num_generations: '2.5' is not a whole number");
  EXPECT_EQ(Apply({"r", "--learning-rate=nan"}), "optimizer.learning_rate: 'nan' is not a finite number");
  EXPECT_NE(Apply({"r", "--log-level=loud"}), "");
}

TEST_F(ArgsTest, Positionals) {
  EXPECT_EQ(Apply({}), "RUN is missing: a run; see 'r1 try --help'");
  ASSERT_EQ(Apply({"a", "b", "--", "--json", "-x"}), "");
  EXPECT_EQ(arguments_.positionals, (std::vector<std::string>{"a", "b", "--json", "-x"}));
  EXPECT_FALSE(arguments_.common.json);
  command_.positionals = {{"SHELL", "which", true, false, {"bash", "fish"}}};
  EXPECT_EQ(Apply({"bsah"}), "SHELL: 'bsah' is not one of bash, fish; did you mean 'bash'?");
  EXPECT_EQ(Apply({"bash", "more"}), "unexpected argument 'more'; see 'r1 try --help'");
}

TEST_F(ArgsTest, CommonOptions) {
  ASSERT_EQ(Apply({"r", "--json", "--dry_run", "--config", "a.toml", "--config=b.toml", "--log-level", "warn"}), "");
  EXPECT_TRUE(arguments_.common.json);
  EXPECT_TRUE(arguments_.common.dry_run);
  EXPECT_EQ(arguments_.common.config_files, (std::vector<std::string>{"a.toml", "b.toml"}));
  EXPECT_EQ(arguments_.common.log_level, "warn");
  ASSERT_EQ(Apply({"--help"}), "");  // no complaint about RUN
  EXPECT_TRUE(arguments_.common.help);
  ASSERT_EQ(Apply({"-h"}), "");
  EXPECT_TRUE(arguments_.common.help);
  command_.reports = false;
  EXPECT_EQ(Apply({"r", "--json"}), "unknown option '--json'; see 'r1 try --help'");
}

TEST_F(ArgsTest, TextFromOutsideCannotForgeLines) {
  EXPECT_EQ(Apply({"r", "--a\nb=1"}).find('\n'), std::string::npos);
  EXPECT_EQ(Apply({"r", "x"}), "");
}

TEST_F(ArgsTest, FirstPositional) {
  const auto first = [&](const std::vector<std::string>& words) {
    return FirstPositional(command_, command_.fields(), words);
  };
  EXPECT_EQ(first({"recipe", "--num-generations", "3"}), "recipe");
  EXPECT_EQ(first({"--num-generations", "3", "recipe"}), "recipe");
  EXPECT_EQ(first({"--num-generations=3", "--stream", "--json", "recipe"}), "recipe");
  EXPECT_EQ(first({"--zero.max-steps", "3", "--no-zero.flag", "recipe"}), "recipe");
  EXPECT_EQ(first({"--log-level", "warn", "--", "recipe"}), "recipe");
  EXPECT_EQ(first({"--json"}), "");
}

TEST(ChoicesInHelp, FindsLists) {
  EXPECT_EQ(ChoicesInHelp("how to learn: grpo|ppo|rloo"), (std::vector<std::string>{"grpo", "ppo", "rloo"}));
  EXPECT_EQ(ChoicesInHelp("auto|never, or a path"), (std::vector<std::string>{"auto", "never"}));
  EXPECT_EQ(ChoicesInHelp("one of f32|bf16."), (std::vector<std::string>{"f32", "bf16"}));
  EXPECT_TRUE(ChoicesInHelp("P(yes | wrong), q | k, a||b").empty());
  EXPECT_TRUE(ChoicesInHelp("").empty());
}

TEST(IsPathField, ByName) {
  std::string text;
  int64_t number = 0;
  EXPECT_TRUE(IsPathField({"output_dir", &text, ""}));
  EXPECT_TRUE(IsPathField({"student.model", &text, ""}));
  EXPECT_FALSE(IsPathField({"model_type", &text, ""}));
  EXPECT_FALSE(IsPathField({"dir", &number, ""}));
}

}  // namespace
}  // namespace r1::cli
