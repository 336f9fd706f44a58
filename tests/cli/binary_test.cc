// The built r1 binary, from outside: every help page, messages, exit codes, JSON on standard output, configuration
// files, completion in the shells that are installed. R1_BINARY is its path.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "cli/commands.h"
#include "model/io.h"
#include "store/gguf.h"
#include "store/safetensors_index.h"
#include "support/program.h"
#include "text/bpe_train.h"

namespace r1::cli {
namespace {

std::string Scratch(const std::string& name) {
  return ::testing::TempDir() + "r1_binary_" + std::to_string(getpid()) + "_" + name;
}

Outcome R1(std::vector<std::string> words) {
  words.insert(words.begin(), R1_BINARY);
  return Execute(words);
}

nlohmann::json Json(const Outcome& outcome) {
  const nlohmann::json parsed = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << outcome.out;
  return parsed;
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(Binary, EveryCommandHasAPageThatTeaches) {
  std::set<std::string> names;
  for (const Command& command : AllCommands()) {
    SCOPED_TRACE(command.name);
    EXPECT_TRUE(names.insert(command.name).second) << "two commands of one name";
    const Outcome help = R1({command.name, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_EQ(help.out.rfind("r1 " + command.name + ": " + command.summary.substr(0, 20), 0), 0U) << help.out;
    EXPECT_NE(help.out.find("\nUsage: r1 " + command.name), std::string::npos);
    EXPECT_NE(help.out.find("\nExample"), std::string::npos) << "no example";
    EXPECT_EQ(R1({"help", command.name}).out, help.out);
    EXPECT_EQ(R1({command.name, "-h"}).out, help.out);
    EXPECT_FALSE(command.summary.empty() || command.summary.back() == '.') << command.summary;
    EXPECT_FALSE(command.description.empty());
    std::set<std::string> fields;
    if (!command.fields) continue;
    for (const Field& field : command.fields()) {
      EXPECT_TRUE(fields.insert(field.name).second) << "two settings named " << field.name;
      EXPECT_FALSE(field.help.empty()) << field.name;
      std::string option = field.name;
      for (char& c : option) c = c == '_' ? '-' : c;
      EXPECT_GE(Count(help.out, "--" + option) + Count(help.out, "--no-" + option), 1U) << field.name;
      for (const char* common : {"help", "json", "config", "dry_run", "log_level"}) EXPECT_NE(field.name, common);
    }
  }
}

TEST(Binary, Overview) {
  const Outcome help = R1({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const Command& command : AllCommands())
    EXPECT_NE(help.out.find("\n  " + command.name + " "), std::string::npos) << command.name;
  EXPECT_EQ(R1({"help"}).out, help.out);
  const Outcome nothing = R1({});
  EXPECT_EQ(nothing.code, 64);
  EXPECT_EQ(nothing.out, "");
  EXPECT_NE(nothing.err.find("Usage: r1 COMMAND"), std::string::npos);
}

TEST(Binary, UnknownNames) {
  const Outcome command = R1({"dif-runs"});
  EXPECT_EQ(command.code, 64);
  EXPECT_EQ(command.err, "r1: error: unknown command 'dif-runs'; did you mean 'diff-runs'?\n");
  EXPECT_EQ(R1({"diff_runs", "--help"}).code, 0);  // the underscore is as good as the dash
  EXPECT_EQ(R1({"xyzzyplugh"}).err, "r1: error: unknown command 'xyzzyplugh'; 'r1 --help' lists the commands\n");
  EXPECT_EQ(R1({"help", "dcotor"}).code, 64);
  const Outcome option = R1({"doctor", "--runs-dri=x"});
  EXPECT_EQ(option.code, 64);
  EXPECT_EQ(option.err, "r1 doctor: error: unknown option '--runs-dri'; did you mean '--runs-dir'?\n");
  EXPECT_EQ(R1({"--json", "doctor"}).code, 64);
}

TEST(Binary, WrongValues) {
  const Outcome type = R1({"diff-runs", "a", "b", "--max-differences", "many"});
  EXPECT_EQ(type.code, 64);
  EXPECT_EQ(type.err, "r1 diff-runs: error: --max-differences: 'many' is not a whole number\n");
  EXPECT_EQ(R1({"diff-runs", "a"}).code, 64);
  EXPECT_EQ(R1({"completion", "tcsh"}).code, 64);
  EXPECT_EQ(R1({"version", "extra"}).code, 64);
}

TEST(Binary, MissingInputs) {
  const Outcome inspect = R1({"inspect", "/nonexistent/model"});
  EXPECT_EQ(inspect.code, 65);
  EXPECT_EQ(inspect.err, "r1 inspect: error: /nonexistent/model: no such file or folder\n");
  EXPECT_EQ(R1({"diff-runs", "/nonexistent/a", "/nonexistent/b"}).code, 65);
  EXPECT_EQ(R1({"generate", "/nonexistent/model", "hello"}).code, 65);
  EXPECT_EQ(R1({"eval", "/nonexistent/model"}).code, 65);
  const Outcome config = R1({"doctor", "--config", "/nonexistent/config.toml"});
  EXPECT_NE(config.code, 0);
  EXPECT_NE(config.err.find("/nonexistent/config.toml"), std::string::npos) << config.err;
}

TEST(Binary, ErrorsAreJsonToo) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"inspect", "/nonexistent", "--json"},
                                                {"diff-runs", "--json"},
                                                {"doctor", "--no-such-thing-at-all", "--json"},
                                                {"nonsense", "--json"}}) {
    const Outcome outcome = R1(words);
    const nlohmann::json json = Json(outcome);
    EXPECT_EQ(json["error"]["code"], outcome.code);
    EXPECT_NE(outcome.err.find(json["error"]["message"].get<std::string>()), std::string::npos);
  }
}

TEST(Binary, ReportsAsJson) {
  const nlohmann::json version = Json(R1({"version", "--json"}));
  EXPECT_EQ(version["name"], "r1");
  EXPECT_FALSE(version["isas"].empty());
  const Outcome doctor = R1({"doctor", "--json", "--runs-dir", ::testing::TempDir()});
  const nlohmann::json checks = Json(doctor);
  EXPECT_EQ(doctor.code, checks["ok"].get<bool>() ? 0 : 69);
  bool found = false;
  for (const nlohmann::json& check : checks["checks"])
    found = found || (check["name"] == "cores" && check["values"]["usable"].get<int>() >= 1);
  EXPECT_TRUE(found);
  EXPECT_EQ(Json(R1({"doctor", "--runs-dir=elsewhere", "--dry-run", "--json"})),
            nlohmann::json({{"runs_dir", "elsewhere"}}));
}

TEST(Binary, DoctorSaysWhatFails) {
  const Outcome doctor = R1({"doctor", "--runs-dir", "/proc/no/runs"});
  EXPECT_EQ(doctor.code, 69) << doctor.out;
  EXPECT_NE(doctor.out.find("FAIL  runs folder"), std::string::npos) << doctor.out;
}

TEST(Binary, DefaultThenFileThenCommandLine) {
  const std::string file = Scratch("config.toml");
  std::ofstream(file) << "max_differences = 7\n";
  EXPECT_EQ(Json(R1({"diff-runs", "a", "b", "--dry-run", "--json"}))["max_differences"], 5);
  EXPECT_EQ(Json(R1({"diff-runs", "a", "b", "--dry-run", "--json", "--config", file}))["max_differences"], 7);
  EXPECT_EQ(Json(R1({"diff-runs", "--max_differences=9", "a", "b", "--dry-run", "--json", "--config",
                     file}))["max_differences"],
            9);
  // What --dry-run prints is a file that --config reads back.
  const Outcome printed = R1({"eval", "m", "--problems=12", "--temperature=0.6", "--dry-run"});
  EXPECT_EQ(printed.code, 0);
  std::ofstream(file) << printed.out;
  EXPECT_EQ(R1({"eval", "m", "--config", file, "--dry-run"}).out, printed.out);
  EXPECT_NE(R1({"eval", "m", "--dry-run"}).out, printed.out);
  std::ofstream(file) << "max_diferences = 7\n";
  const Outcome wrong = R1({"diff-runs", "a", "b", "--config", file});
  EXPECT_EQ(wrong.code, 64);
  EXPECT_NE(wrong.err.find("did you mean 'max_differences'?"), std::string::npos) << wrong.err;
  std::ofstream(file) << "max_differences = \"seven\"\n";
  EXPECT_EQ(R1({"diff-runs", "a", "b", "--config", file}).code, 64);
  std::ofstream(file) << "max_differences = = 7\n";
  const Outcome broken = R1({"diff-runs", "a", "b", "--config", file});
  EXPECT_NE(broken.code, 0);
  EXPECT_NE(broken.err.find(file + ":1"), std::string::npos) << broken.err;
  std::remove(file.c_str());
}

// A recipe of two stages, small enough to run here.
std::string TinyRecipe() {
  const std::string path = Scratch("tiny.toml");
  std::ofstream(path) << "name = \"tiny\"\nseed = 7\n[model]\npreset = \"tiny\"\n[tokenizer]\ndocuments = 2000\n"
                         "[[stage]]\nname = \"pretrain\"\nkind = \"pretrain\"\nmax_steps = 3\ntokens_per_step = 256\n"
                         "[[stage]]\nname = \"zero\"\nkind = \"rl\"\nmodel = \"pretrain\"\nmax_steps = 2\nnum_prompts "
                         "= 2\nnum_generations = 2\n"
                         "max_completion_length = 8\n";
  return path;
}

TEST(Binary, RecipeSettings) {
  const std::string recipe = TinyRecipe();
  const nlohmann::json plain = Json(R1({"run", recipe, "--dry-run", "--json"}));
  EXPECT_EQ(plain["seed"], 7);
  EXPECT_EQ(plain["zero"]["max_steps"], 2);
  const nlohmann::json changed =
      Json(R1({"run", "--seed", "8", recipe, "--zero.max-steps", "5", "--pretrain.learning_rate=0.5", "--model.preset",
               "mini-dense", "--tokens-per-step=512", "--dry-run", "--json"}));
  EXPECT_EQ(changed["seed"], 8);
  EXPECT_EQ(changed["zero"]["max_steps"], 5);
  EXPECT_EQ(changed["pretrain"]["learning_rate"], 0.5);
  EXPECT_EQ(changed["pretrain"]["tokens_per_step"], 512);  // only one stage has it
  EXPECT_EQ(changed["model"]["preset"], "mini-dense");
  EXPECT_EQ(changed["model"]["model_type"], "llama");
  EXPECT_EQ(R1({"run", recipe, "--max-steps=5", "--dry-run"}).err,
            "r1 run: error: option '--max-steps' could be --pretrain.max-steps, --zero.max-steps: write it in full\n");
  const Outcome slip = R1({"run", recipe, "--zero.max-stesp=5", "--dry-run"});
  EXPECT_EQ(slip.code, 64);
  EXPECT_EQ(slip.err, "r1 run: error: unknown option '--zero.max-stesp'; did you mean '--zero.max-steps'?\n");
  EXPECT_EQ(R1({"run", recipe, "--zero.max-steps=few"}).err,
            "r1 run: error: --zero.max-steps: 'few' is not a whole number\n");
  EXPECT_NE(R1({"run", recipe, "--help"}).out.find("--zero.num-generations"), std::string::npos);
  // What --dry-run prints is a recipe that resolves to itself.
  const Outcome printed = R1({"run", recipe, "--seed=9", "--dry-run"});
  const std::string again = Scratch("again.toml");
  std::ofstream(again) << printed.out;
  EXPECT_EQ(R1({"run", again, "--dry-run"}).out, printed.out);
  EXPECT_NE(printed.out.find("seed = 9"), std::string::npos);
  const Outcome plan = R1({"run", recipe, "--explain"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("3 steps x 256 tokens"), std::string::npos) << plan.out;
  const Outcome missing = R1({"run", "no-such-recipe-at-all"});
  EXPECT_EQ(missing.code, 65);
  EXPECT_NE(missing.err.find("no such recipe"), std::string::npos);
  std::remove(recipe.c_str());
  std::remove(again.c_str());
}

TEST(Binary, StageCommands) {
  const nlohmann::json pretrain =
      Json(R1({"pretrain", "--max-steps=9", "--model.preset=mini-dense", "--dry-run", "--json"}));
  EXPECT_EQ(pretrain["pretrain"]["max_steps"], 9);
  EXPECT_EQ(pretrain["model"]["model_type"], "llama");
  const std::string file = Scratch("pretrain.toml");
  std::ofstream(file) << "max_steps = 11\n[model]\npreset = \"mini-dense\"\nhidden_size = 64\n";
  const nlohmann::json from_file = Json(R1({"pretrain", "--config", file, "--seed=3", "--dry-run", "--json"}));
  EXPECT_EQ(from_file["pretrain"]["max_steps"], 11);
  EXPECT_EQ(from_file["model"]["hidden_size"], 64);
  EXPECT_EQ(from_file["model"]["model_type"], "llama");
  EXPECT_EQ(from_file["seed"], 3);
  std::remove(file.c_str());
  EXPECT_EQ(R1({"pretrain", "--model.hidden-size=33", "--dry-run"}).code, 78);
  EXPECT_EQ(R1({"rl", "/nonexistent/model"}).code, 65);
}

TEST(Binary, TemplateShowsWhoWroteWhat) {
  const std::string file = Scratch("chat.jinja"), vars = Scratch("vars.json");
  std::ofstream(file) << "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<think>\n\n";
  std::ofstream(vars) << R"({"messages": [{"role": "user", "content": "<think> hi"}]})";
  const Outcome raw = R1({"template", "--template-file", file, "--vars", vars, "--raw"});
  EXPECT_EQ(raw.code, 0) << raw.err;
  EXPECT_EQ(raw.out, "<|user|><think> hi<think>\n");
  const nlohmann::json json = Json(R1({"template", "--template-file", file, "--vars", vars, "--json"}));
  EXPECT_EQ(json["text"], raw.out);
  EXPECT_EQ(json["think_state"], "open");
  ASSERT_EQ(json["segments"].size(), 3U);
  EXPECT_EQ(json["segments"][0]["text"], "<|user|>");
  EXPECT_EQ(json["segments"][1]["origin"], "content");
  EXPECT_EQ(json["segments"][1]["text"], "<think> hi");
  EXPECT_EQ(json["segments"][2]["origin"], "scaffold");
  const Outcome shown = R1({"template", "--template-file", file, "--vars", vars});
  EXPECT_NE(shown.out.find("content   '<think> hi'\n"), std::string::npos) << shown.out;
  std::ofstream(file) << "{% if x %}\n{{ 1/0 }}";
  const Outcome broken = R1({"template", "--template-file", file, "--vars", vars});
  EXPECT_EQ(broken.code, 65);
  EXPECT_NE(broken.err.find("chat.jinja:1:"), std::string::npos) << broken.err;
  EXPECT_EQ(R1({"template", "--vars", vars}).code, 64);
  EXPECT_EQ(R1({"template", "--template-file", file, "--raw", "--json"}).code, 64);
  std::remove(file.c_str());
  std::remove(vars.c_str());
}

// From random weights through every command that reads what a run leaves.
TEST(Binary, AWholeRun) {
  const std::string recipe = TinyRecipe(), a = Scratch("run_a"), b = Scratch("run_b"), c = Scratch("run_c");
  const Outcome first = R1({"run", recipe, "--output-dir", a, "--threads=1", "--json"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(Json(first)["folder"], a);
  ASSERT_EQ(R1({"run", recipe, "--output-dir", b, "--threads=2"}).code, 0);
  const Outcome same = R1({"diff-runs", a, b, "--json"});
  EXPECT_EQ(same.code, 0) << same.out;
  EXPECT_TRUE(Json(same)["identical"].get<bool>());
  EXPECT_GT(Json(same)["compared"]["numbers"].get<int64_t>(), 100000);
  EXPECT_EQ(R1({"run", recipe, "--output-dir", a, "--seed=8"}).code, 78);  // other settings in the same folder
  // The second stage alone, on the first one's model.
  const std::vector<std::string> rl = {"rl",
                                       a + "/pretrain",
                                       "--output-dir",
                                       c,
                                       "--seed=8",
                                       "--max-steps=2",
                                       "--num-prompts=2",
                                       "--num-generations=2",
                                       "--max-completion-length=8"};
  const Outcome alone = R1(rl);
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(Slurp(a + "/tokenizer.json"), Slurp(c + "/tokenizer.json"));
  EXPECT_NE(Slurp(c + "/recipe.toml").find("preset = \"tiny\""), std::string::npos);
  EXPECT_EQ(R1(rl).code, 0);  // all is done already
  const Outcome different = R1({"diff-runs", a, c});
  EXPECT_EQ(different.code, 1);
  EXPECT_EQ(different.out.rfind("different (", 0), 0U);
  const nlohmann::json inspected = Json(R1({"inspect", a + "/zero/checkpoint-2", "--verify", "--tensors", "--json"}));
  EXPECT_TRUE(inspected["architecture"]["loads_here"].get<bool>()) << inspected["architecture"];
  EXPECT_EQ(inspected["training_state"]["step"], 2);
  EXPECT_EQ(inspected["verified"]["non_finite"], 0);
  EXPECT_GT(inspected["parameters"]["total"].get<int64_t>(),
            inspected["parameters"]["active_per_token"].get<int64_t>());
  EXPECT_EQ(inspected["tensors"].size(), inspected["weights"]["tensors"].get<size_t>());
  const std::vector<std::string> ask = {
      "generate", a + "/zero", "pick 14 8 20 3 5 sum 42", "--num-generations=3", "--max-completion-length=6", "--json"};
  const nlohmann::json answers = Json(R1(ask));
  EXPECT_EQ(answers["completions"].size(), 3U);
  EXPECT_EQ(Json(R1(ask))["completions"], answers["completions"]);
  const nlohmann::json measured =
      Json(R1({"eval", a + "/zero", "--problems=3", "--samples=4", "--max-completion-length=6", "--general-problems=2",
               "--verifier-probes=2", "--json"}));
  EXPECT_EQ(measured["problems"], 3);
  const Outcome report = R1({"report", a, b, "--output", Scratch("page.html"), "--svg", Scratch("curves.svg")});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_NE(Slurp(Scratch("page.html")).find("</html>"), std::string::npos);
  std::remove(Scratch("page.html").c_str());
  std::remove(Scratch("curves.svg").c_str());
  std::remove(recipe.c_str());
  for (const std::string& folder : {a, b, c}) ASSERT_TRUE(RemoveTree(folder).ok());
}

TEST(Binary, Tokenize) {
  const std::string path = Scratch("tokenizer.json");
  const auto tokenizer = TrainBpe(std::vector<std::string>{"ab ab"}, {{.id = -1, .content = "<think>", .special = false}},
                                  {.max_vocab = 300, .min_count = 1});
  ASSERT_TRUE(tokenizer.ok());
  std::ofstream(path) << tokenizer->ToJson();
  EXPECT_EQ(R1({"tokenize", path, "ab<think>"}).out, "    257  'ab'\n      0  '<think>'  added\n");
  const nlohmann::json content = Json(R1({"tokenize", path, "ab<think>", "--content", "--json"}));
  EXPECT_EQ(content["count"], 8);
  EXPECT_EQ(content["ids"][0], 257);
  EXPECT_EQ(content["pieces"][1], "<");
  EXPECT_EQ(Json(R1({"tokenize", path, "--file", path, "--json"}))["ids"].size(),
            tokenizer->Encode(Slurp(path)).size());
  EXPECT_EQ(R1({"tokenize", path, "--decode", "257, 0,257"}).out, "ab<think>ab\n");
  EXPECT_EQ(R1({"tokenize", path, "--decode", "257,x"}).code, 64);
  EXPECT_EQ(R1({"tokenize", path}).code, 64);
  EXPECT_EQ(R1({"tokenize", path, "a", "--decode", "1"}).code, 64);
  EXPECT_EQ(R1({"tokenize", "/nonexistent.json", "a"}).code, 69);
  std::ofstream(path) << "{}";
  const Outcome odd = R1({"tokenize", path, "a"});
  EXPECT_EQ(odd.code, 65);
  EXPECT_NE(odd.err.find(path + ": there is no model"), std::string::npos) << odd.err;
  std::remove(path.c_str());
}

TEST(Binary, FullDiskUnderStandardOutput) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "missing: a writable /dev/full";
  const Outcome outcome = Execute({R1_BINARY, "version"}, "/dev/full");
  EXPECT_EQ(outcome.code, 74);
  EXPECT_NE(outcome.err.find("cannot write to standard output"), std::string::npos);
}

TEST(Binary, InspectExplainsFolders) {
  const std::string folder = Scratch("folder");
  ASSERT_TRUE(MakeDirs(folder + "/rl/checkpoint-20").ok());
  ASSERT_TRUE(MakeDirs(folder + "/rl/checkpoint-3").ok());
  EXPECT_NE(R1({"inspect", folder}).err.find("try " + folder + "/rl/checkpoint-20"), std::string::npos);
  EXPECT_NE(
      R1({"inspect", folder + "/rl"}).err.find("did you mean its newest checkpoint, " + folder + "/rl/checkpoint-20?"),
      std::string::npos);
  std::ofstream(folder + "/broken.safetensors") << "x";
  EXPECT_EQ(R1({"inspect", folder + "/broken.safetensors"}).code, 65);
  // Names in an index that lead out of the folder.
  std::ofstream(folder + "/model.safetensors.index.json") << R"({"weight_map": {"w": "../../etc/passwd"}})";
  const Outcome outside = R1({"inspect", folder});
  EXPECT_EQ(outside.code, 65);
  EXPECT_NE(outside.err.find("is not a plain file name"), std::string::npos) << outside.err;
  ASSERT_TRUE(RemoveTree(folder).ok());
}

TEST(Binary, InspectGgufAndShards) {
  const std::string folder = Scratch("weights"), file = folder + "/m.gguf";
  ASSERT_TRUE(MakeDirs(folder).ok());
  const std::vector<float> values(64, 1);
  const std::string blocks(68, 'q');
  GgufMetadata keys;
  keys.AddString("general.architecture", "llama");
  ASSERT_TRUE(WriteGguf(file, keys,
                        {{"w", StoredType::kF32, {2, 3}, values.data()}, {"q", StoredType::kQ8_0, {64}, blocks.data()}})
                  .ok());
  for (const std::string& path : {file, folder}) {
    const nlohmann::json found = Json(R1({"inspect", path, "--tensors", "--verify", "--json"}));
    EXPECT_EQ(found["gguf"]["version"], 3);
    EXPECT_EQ(found["weights"]["bytes"], 24 + 68);
    EXPECT_EQ(found["weights"]["by_type"][1],
              nlohmann::json::parse(R"({"type": "Q8_0", "tensors": 1, "elements": 64, "bytes": 68})"));
    EXPECT_EQ(found["tensors"][0],
              nlohmann::json::parse(R"({"name": "w", "type": "F32", "shape": [2, 3], "bytes": 24})"));
    EXPECT_EQ(found["verified"]["non_finite"], 0);
  }
  const std::string text = R1({"inspect", file, "--tensors"}).out;
  for (const char* part : {"GGUF\n  version    3\n", "general.architecture  string  'llama'", "Q8_0  1        64"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  ASSERT_TRUE(RemoveFile(file).ok());
  const std::vector<TensorToStore> tensors{{"a", StoredType::kF32, {4}, values.data()},
                                           {"b", StoredType::kF16, {4}, values.data()}};
  ASSERT_TRUE(WriteShardedSafetensors(folder, tensors, {{"format", "pt"}}, 16).ok());
  const nlohmann::json found = Json(R1({"inspect", folder, "--tensors", "--json"}));
  EXPECT_EQ(found["weights"]["files"], 2);
  EXPECT_EQ(found["weights"]["metadata"]["format"], "pt");
  EXPECT_EQ(found["tensors"][1]["name"], "b");
  ASSERT_TRUE(RemoveFile(folder + "/model-00002-of-00002.safetensors").ok());
  const Outcome missing = R1({"inspect", folder});
  EXPECT_EQ(missing.code, 65);
  EXPECT_NE(missing.err.find("file 'model-00002-of-00002.safetensors' of the index is missing"), std::string::npos);
  ASSERT_TRUE(RemoveTree(folder).ok());
}

// From a small model through GGUF and back, and what it says of a quantised one.
TEST(Binary, Convert) {
  const std::string folder = Scratch("convert"), model = folder + "/model", gguf = folder + "/m.gguf";
  ASSERT_TRUE(MakeDirs(model).ok());
  ModelConfig config = ModelPreset("tiny-qwen3").value();
  config.vocab_size = 32;
  Model random(config, false);
  random.Init(3);
  ASSERT_TRUE(WriteModelFiles(model, random, 1, 2).ok());
  ASSERT_EQ(R1({"convert", model, gguf}).code, 0);
  const Outcome back = R1({"convert", gguf, folder + "/back"});
  EXPECT_EQ(back.code, 0) << back.err;
  EXPECT_NE(back.out.find("Every value is kept.\n"), std::string::npos) << back.out;
  EXPECT_EQ(Slurp(folder + "/back/model.safetensors"), Slurp(model + "/model.safetensors"));
  const nlohmann::json report = Json(R1({"convert", model, folder + "/q.gguf", "--dtype", "q8_0", "--json"}));
  EXPECT_EQ(report["target"], folder + "/q.gguf");
  EXPECT_EQ(report["tensors"][0]["name"], "token_embd.weight");
  EXPECT_EQ(report["tensors"][0]["to"], "Q8_0");
  EXPECT_GT(report["tensors"][0]["error"]["cosine"].get<double>(), 0.999);
  EXPECT_FALSE(report["tensors"][1].contains("error"));  // a norm
  const Outcome table = R1({"convert", model, folder + "/q4.gguf", "--dtype=Q4_K"});
  EXPECT_NE(table.out.find("rows are not whole blocks"), std::string::npos) << table.out;
  EXPECT_NE(table.err.find("wrote"), std::string::npos) << table.err;
  EXPECT_EQ(R1({"convert", model, gguf}).code, 73);
  EXPECT_EQ(R1({"convert", model, folder + "/x", "--dtype=q4_k"}).code, 64);
  EXPECT_EQ(R1({"convert", model, folder + "/x", "--dtype=int3"}).code, 64);
  EXPECT_EQ(R1({"convert", folder + "/none", folder + "/x"}).code, 65);
  ASSERT_TRUE(RemoveTree(folder).ok());
}

class Completion : public ::testing::TestWithParam<const char*> {};

TEST_P(Completion, LoadsAndNamesEverything) {
  const std::string shell = GetParam();
  const Outcome script = R1({"completion", shell});
  ASSERT_EQ(script.code, 0);
  for (const Command& command : AllCommands())
    EXPECT_NE(script.out.find(command.name), std::string::npos) << command.name;
  EXPECT_NE(script.out.find("max-differences"), std::string::npos);
  const std::string file = Scratch("completion");
  std::ofstream(file) << script.out;
  const Outcome checked = Execute({shell, "-n", file});
  std::remove(file.c_str());
  if (checked.code == 127) GTEST_SKIP() << "missing: " << shell << ", not installed";
  EXPECT_EQ(checked.code, 0) << checked.err;
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion, ::testing::Values("bash", "zsh", "fish"),
                         [](const auto& info) { return std::string(info.param); });

TEST(BashCompletion, Completes) {
  const std::string file = Scratch("bash");
  std::ofstream(file) << R1({"completion", "bash"}).out << R"(
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _r1; echo "${COMPREPLY[*]}"; }
complete_words r1 di
complete_words r1 diff-runs --max
complete_words r1 completion z
complete_words r1 doctor --log-level w
complete_words r1 doctor --log-level = e
)";
  const Outcome outcome = Execute({"bash", file});
  std::remove(file.c_str());
  if (outcome.code == 127) GTEST_SKIP() << "missing: bash, not installed";
  EXPECT_EQ(outcome.out, "distill diff-runs\n--max-differences\nzsh\nwarn\nerror\n") << outcome.err;
}

}  // namespace
}  // namespace r1::cli
