// The built r1 binary, from outside: every help page, messages, exit codes, JSON on standard output, configuration files,
// completion in the shells that are installed. R1_BINARY is its path.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "cli/commands.h"

namespace r1::cli {
namespace {

struct Outcome {
  int code = -1;
  std::string out, err;
};

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Scratch(const std::string& name) { return ::testing::TempDir() + "r1_binary_" + std::to_string(getpid()) + "_" + name; }

// Runs a program without a shell in between. stdout_path: where its output goes ("" : a file that is read back).
Outcome Execute(const std::vector<std::string>& words, const std::string& stdout_path = "") {
  const std::string out = stdout_path.empty() ? Scratch("out") : stdout_path, err = Scratch("err");
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_RDONLY);
    const int to = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), complain = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(null, 0);
    dup2(to, 1);
    dup2(complain, 2);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  if (stdout_path.empty()) outcome.out = Slurp(out);
  outcome.err = Slurp(err);
  std::remove(err.c_str());
  if (stdout_path.empty()) std::remove(out.c_str());
  return outcome;
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
  for (const Command& command : AllCommands()) EXPECT_NE(help.out.find("\n  " + command.name + " "), std::string::npos) << command.name;
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
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"inspect", "/nonexistent", "--json"}, {"diff-runs", "--json"}, {"doctor", "--no-such-thing-at-all", "--json"}, {"nonsense", "--json"}}) {
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
  for (const nlohmann::json& check : checks["checks"]) found = found || (check["name"] == "cores" && check["values"]["usable"].get<int>() >= 1);
  EXPECT_TRUE(found);
  EXPECT_EQ(Json(R1({"doctor", "--runs-dir=elsewhere", "--dry-run", "--json"})), nlohmann::json({{"runs_dir", "elsewhere"}}));
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
  EXPECT_EQ(Json(R1({"diff-runs", "--max_differences=9", "a", "b", "--dry-run", "--json", "--config", file}))["max_differences"], 9);
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

TEST(Binary, FullDiskUnderStandardOutput) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  const Outcome outcome = Execute({R1_BINARY, "version"}, "/dev/full");
  EXPECT_EQ(outcome.code, 74);
  EXPECT_NE(outcome.err.find("cannot write to standard output"), std::string::npos);
}

TEST(Binary, InspectExplainsFolders) {
  const std::string folder = Scratch("folder");
  ASSERT_TRUE(MakeDirs(folder + "/rl/checkpoint-20").ok());
  ASSERT_TRUE(MakeDirs(folder + "/rl/checkpoint-3").ok());
  EXPECT_NE(R1({"inspect", folder}).err.find("try " + folder + "/rl/checkpoint-20"), std::string::npos);
  EXPECT_NE(R1({"inspect", folder + "/rl"}).err.find("did you mean its newest checkpoint, " + folder + "/rl/checkpoint-20?"), std::string::npos);
  std::ofstream(folder + "/broken.safetensors") << "x";
  EXPECT_EQ(R1({"inspect", folder + "/broken.safetensors"}).code, 65);
  // Names in an index that lead out of the folder.
  std::ofstream(folder + "/model.safetensors.index.json") << R"({"weight_map": {"w": "../../etc/passwd"}})";
  const Outcome outside = R1({"inspect", folder});
  EXPECT_EQ(outside.code, 65);
  EXPECT_NE(outside.err.find("is not a plain file name"), std::string::npos) << outside.err;
  ASSERT_TRUE(RemoveTree(folder).ok());
}

class Completion : public ::testing::TestWithParam<const char*> {};

TEST_P(Completion, LoadsAndNamesEverything) {
  const std::string shell = GetParam();
  const Outcome script = R1({"completion", shell});
  ASSERT_EQ(script.code, 0);
  for (const Command& command : AllCommands()) EXPECT_NE(script.out.find(command.name), std::string::npos) << command.name;
  EXPECT_NE(script.out.find("max-differences"), std::string::npos);
  const std::string file = Scratch("completion");
  std::ofstream(file) << script.out;
  const Outcome checked = Execute({shell, "-n", file});
  std::remove(file.c_str());
  if (checked.code == 127) GTEST_SKIP() << shell << " is not installed";
  EXPECT_EQ(checked.code, 0) << checked.err;
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion, ::testing::Values("bash", "zsh", "fish"), [](const auto& info) { return std::string(info.param); });

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
  if (outcome.code == 127) GTEST_SKIP() << "bash is not installed";
  EXPECT_EQ(outcome.out, "diff-runs\n--max-differences\nzsh\nwarn\nerror\n") << outcome.err;
}

}  // namespace
}  // namespace r1::cli
