#include "base/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/test_dir.h"
#include "base/toml.h"

namespace r1 {
namespace {

using nlohmann::ordered_json;

struct Optimizer {
  double learning_rate = 1e-3;
  int64_t warmup_steps = 10;
  template <class V>
  void Fields(V& v) {
    v("learning_rate", learning_rate, "peak");
    v("warmup_steps", warmup_steps, "steps");
  }
};
struct Config {
  std::string name = "zero";
  bool resume = false;
  Optimizer optimizer;
  template <class V>
  void Fields(V& v) {
    v("name", name, "of the run");
    v("resume", resume, "");
    v("optimizer", optimizer, "");
  }
};

std::string TomlError(std::string_view text) {
  const auto parsed = ParseToml(text, "run.toml");
  return parsed.ok() ? "accepted: " + parsed->dump() : parsed.error().message;
}

// The error of applying a TOML text, or "ok".
std::string Apply(std::string_view text, Config* config) {
  const auto parsed = ParseToml(text, "run.toml");
  if (!parsed.ok()) return parsed.error().message;
  const Status status = ApplyTable(*parsed, "run.toml", CollectFields(*config));
  return status.ok() ? "ok" : status.error().message;
}

TEST(Toml, ValuesInTheOrderOfTheFile) {
  const auto parsed =
      ParseToml("z = 1\na = [1, 2.5, 'x']\n[t]\nq = true\nb = \"对\"\n[[stage]]\nkind='rl'\n[[stage]]\n", "f");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->dump(), R"({"z":1,"a":[1,2.5,"x"],"t":{"q":true,"b":"对"},"stage":[{"kind":"rl"},{}]})");
  EXPECT_EQ(ParseToml("", "f")->dump(), "{}");
}

TEST(Toml, Refuses) {
  EXPECT_EQ(TomlError("a = 1\nb = \n").substr(0, 13), "run.toml:2:5:");
  EXPECT_EQ(TomlError("a = 1\na = 2\n").substr(0, 11), "run.toml:2:");
  EXPECT_EQ(TomlError("x = inf"), "run.toml:1:5: a finite number is wanted");
  EXPECT_EQ(TomlError("x = nan"), "run.toml:1:5: a finite number is wanted");
  EXPECT_EQ(TomlError("\nd = 2026-11-22"), "run.toml:2:5: dates and times are not used here; write text in quotes");
  EXPECT_NE(TomlError("x = \"\xff\"").find("run.toml:1:"), std::string::npos);
  std::string deep = "a";
  for (int i = 0; i < 500000; ++i) deep += ".a";
  EXPECT_EQ(TomlError(deep + " = 1"), "run.toml:1:2002: a key with more than 1000 dots");
  EXPECT_EQ(TomlError(deep.substr(0, 201) + " = 1"), "run.toml:1:129: nested deeper than 64 levels");
  EXPECT_NE(TomlError("a = " + std::string(100000, '[')).find("run.toml:1:"), std::string::npos);
  EXPECT_EQ(TomlError("[[[n!.a.e\nl").substr(0, 11), "run.toml:1:") << "an assertion of toml++";
  EXPECT_EQ(TomlError("#" + std::string(5000000, ' ')), "run.toml: larger than the 4.2 MB allowed");
}

TEST(Toml, NonAsciiOnlyInQuotesAndComments) {
  const std::string good =
      "\xef\xbb\xbf# 对 ' \" #\n"
      "a = \"对 \\\" 对 #\" # 对\n"
      "'对' = '对\\'\n"
      "b = \"\"\"对\n\\\"\"\\\" \"对\"\"\"\"\"\n"
      "c = '''对\n''对'''\n"
      "d = 1";
  const auto parsed = ParseToml(good, "f");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->dump(), R"({"a":"对 \" 对 #","对":"对\\","b":"对\n\"\"\" \"对\"\"","c":"对\n''对","d":1})");
  EXPECT_EQ(TomlError("a = 1\nɞ = 2"), "run.toml:2:1: a character outside quotes that only text in quotes may have");
  EXPECT_EQ(TomlError("a.a\xd1\x9e.a = 1").substr(0, 13), "run.toml:1:4:");
  EXPECT_EQ(TomlError("a = 'x' 对").substr(0, 13), "run.toml:1:9:");
}

TEST(Config, AppliesNestedAndDottedKeys) {
  Config config;
  EXPECT_EQ(Apply("name = 'x'\n[optimizer]\nlearning-rate = 1\n", &config), "ok");
  EXPECT_EQ(config.name, "x");
  EXPECT_EQ(config.optimizer.learning_rate, 1.0) << "a whole number is accepted for a double";
  EXPECT_EQ(config.optimizer.warmup_steps, 10);
  EXPECT_EQ(Apply("optimizer.warmup_steps = 7\nresume = true", &config), "ok");
  EXPECT_EQ(config.optimizer.warmup_steps, 7);
  EXPECT_TRUE(config.resume);
}

TEST(Config, RefusesWithNearestNameAndWantedType) {
  Config config;
  EXPECT_EQ(Apply("nam = 'x'", &config), "unknown key 'nam' in run.toml; did you mean 'name'?");
  EXPECT_EQ(Apply("[optimzer]\nlearning_rate = 1.0", &config),
            "unknown key 'optimzer' in run.toml; did you mean 'optimizer'?");
  EXPECT_EQ(Apply("[optimizer]\nwarmup_step = 1", &config),
            "unknown key 'optimizer.warmup_step' in run.toml; did you mean 'optimizer.warmup_steps'?");
  EXPECT_EQ(Apply("learning_rate = 1.0", &config),
            "unknown key 'learning_rate' in run.toml; did you mean 'optimizer.learning_rate'?");
  EXPECT_EQ(Apply("optimizer = 3", &config), "unknown key 'optimizer' in run.toml; did you mean 'optimizer'?");
  EXPECT_EQ(Apply("name = 3", &config), "run.toml: 'name' is 3, but text in quotes is wanted");
  EXPECT_EQ(Apply("resume = 'yes'", &config), "run.toml: 'resume' is 'yes', but true or false is wanted");
  EXPECT_EQ(Apply("[optimizer]\nwarmup_steps = 1.5", &config),
            "run.toml: 'optimizer.warmup_steps' is 1.5, but a whole number is wanted");
  EXPECT_EQ(Apply("[optimizer]\nwarmup_steps = [1]", &config),
            "run.toml: 'optimizer.warmup_steps' is a list, but a whole number is wanted");
  EXPECT_EQ(Apply("[optimizer]\nlearning_rate = 'x'", &config),
            "run.toml: 'optimizer.learning_rate' is 'x', but a number is wanted");
  EXPECT_EQ(Apply("[name]\nx = 1", &config), "run.toml: 'name' is a table, but text in quotes is wanted");
  EXPECT_EQ(Apply("[optimizer]\nwarmup_steps = 1\nwarmup-steps = 2", &config),
            "run.toml: 'optimizer.warmup_steps' is given twice");
}

TEST(Config, NothingIsSetOnAnError) {
  Config config;
  EXPECT_NE(Apply("name = 'changed'\nresume = 3", &config), "ok");
  EXPECT_EQ(config.name, "zero");
}

TEST(Config, JsonNumbersBeyond64Bits) {
  Config config;
  const auto table = ParseJson(R"({"optimizer": {"warmup_steps": 18446744073709551615}})", "c.json");
  const Status status = ApplyTable(*table, "c.json", CollectFields(config));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message,
            "c.json: 'optimizer.warmup_steps' is 18446744073709551615, but a whole number is wanted");
}

TEST(Config, ReadsBackFromBothForms) {
  Config config;
  config.name = "a \"quoted\"\n\x7f 对";
  config.resume = true;
  config.optimizer = {1e-7, -5};
  const FieldList list = CollectFields(config);
  const std::string wanted = FieldsText(list);
  TempDir dir;
  for (const bool with_help : {false, true}) {
    ASSERT_TRUE(WriteFileAtomic(dir / "c.toml", FieldsToToml(list, with_help)).ok());
    Config read;
    const Status status = ApplyConfigFile(dir / "c.toml", CollectFields(read));
    ASSERT_TRUE(status.ok()) << status.error().message << "\n" << FieldsToToml(list, with_help);
    EXPECT_EQ(FieldsText(CollectFields(read)), wanted);
  }
  ASSERT_TRUE(WriteFileAtomic(dir / "c.json", ToPrettyText(FieldsToJson(list))).ok());
  Config read;
  ASSERT_TRUE(ApplyConfigFile(dir / "c.json", CollectFields(read)).ok());
  EXPECT_EQ(FieldsText(CollectFields(read)), wanted);
  EXPECT_EQ(ApplyConfigFile(dir / "none.toml", list).error().code, ErrorCode::kUnavailable);
}

TEST(Config, TomlText) {
  Config config;
  EXPECT_EQ(FieldsToToml(CollectFields(config), true),
            "name = \"zero\"  # of the run\nresume = false\n\n[optimizer]\nlearning_rate = 0.001  # peak\nwarmup_steps "
            "= 10  # steps\n");
  EXPECT_EQ(FieldsToJson(CollectFields(config)).dump(),
            R"({"name":"zero","resume":false,"optimizer":{"learning_rate":0.001,"warmup_steps":10}})");
}

}  // namespace
}  // namespace r1
