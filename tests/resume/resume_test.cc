// The r1 program from outside, on a run of about two seconds: killed at random moments and at
// chosen places, damaged, interrupted, started twice, out of disk. Whatever happens, the end is the
// bytes of the run that nothing happened to, or a clear error. R1_RESUME_SEED changes the random
// moments; it is printed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/rng.h"
#include "base/test_dir.h"
#include "recipe/diff_runs.h"
#include "recipe/volatile_fields.h"
#include "store/checkpoint.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }
std::string Text(const std::string& path) { return ReadFile(path, int64_t{1} << 30).value(); }

struct StartOptions {
  std::vector<std::string> more = {};  // arguments
  std::string kill_at = {};            // R1_KILL_AT
  int64_t file_limit = 0;              // RLIMIT_FSIZE, bytes
  bool nobody = false;                 // as an unprivileged user
};

// One r1 process; its output goes to a file.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& log, const StartOptions& options) : log_(log) {
    std::vector<std::string> words = {R1_BINARY};
    words.insert(words.end(), arguments.begin(), arguments.end());
    words.insert(words.end(), options.more.begin(), options.more.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::fflush(nullptr);
    pid_ = fork();
    R1_CHECK(pid_ >= 0, "fork");
    if (pid_ != 0) return;
    const int fd = open(log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (!options.kill_at.empty()) setenv("R1_KILL_AT", options.kill_at.c_str(), 1);
    if (options.file_limit > 0) {
      const rlimit limit{static_cast<rlim_t>(options.file_limit), static_cast<rlim_t>(options.file_limit)};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (options.nobody && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }
  void Send(int signal) const {
    if (pid_ > 0) kill(pid_, signal);
  }
  bool Running() {
    if (pid_ <= 0) return false;
    if (waitpid(pid_, &status_, WNOHANG) == 0) return true;
    pid_ = 0;
    return false;
  }
  // Exit code, or minus the signal.
  int Wait() {
    if (pid_ > 0) waitpid(pid_, &status_, 0);
    pid_ = 0;
    return WIFSIGNALED(status_) ? -WTERMSIG(status_) : WEXITSTATUS(status_);
  }
  std::string Log() const { return Exists(log_) ? Text(log_) : ""; }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
  std::string log_;
};

std::string RecipePath() { return R1_RESUME_RECIPE; }

class Resume : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Shared;
    const auto began = Clock::now();
    Process process(Arguments(shared_->dir / "whole"), shared_->dir / "log", {});
    ASSERT_EQ(process.Wait(), 0) << process.Log();
    shared_->seconds = Since(began);
    std::printf("an unbroken run takes %.2f s\n", shared_->seconds);
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }

  static std::vector<std::string> Arguments(const std::string& folder) {
    return {"run", RecipePath(), "--output-dir", folder, "--threads", "2", "--json"};  // no plan, which takes a second
  }
  static std::string Whole() { return shared_->dir / "whole"; }

  // Runs to its end; the exit code, or minus the signal.
  int Run(const std::string& folder, const StartOptions& options = {}) {
    Process process(Arguments(folder), log_, options);
    const int code = process.Wait();
    said_ = process.Log();
    return code;
  }
  bool Said(const std::string& what) const { return said_.find(what) != std::string::npos; }
  // Cuts a run off at a place: it must die there.
  void RunUntil(const std::string& folder, const std::string& kill_at) {
    ASSERT_EQ(Run(folder, {.kill_at = kill_at}), -SIGKILL) << kill_at << " was not passed\n" << said_;
  }
  // Any number of bytes may lie between a program that was cut off and one that was not, but at the
  // end they are equal: no file more or less, and every file without clock times the same to the
  // byte.
  void ExpectAsUnbroken(const std::string& folder, const std::string& what) {
    const Result<RunComparison> comparison = CompareRuns(Whole(), folder);
    ASSERT_TRUE(comparison.ok()) << what << ": " << comparison.error().message;
    ASSERT_TRUE(comparison->identical()) << what << ": " << DescribeDifference(comparison->differences[0]);
    const auto whole = Files(Whole()), other = Files(folder);
    for (const auto& [name, text] : whole) {
      ASSERT_TRUE(other.contains(name)) << what << ": no " << name;
      if (!HasTimes(name)) {
        ASSERT_TRUE(other.at(name) == text) << what << ": " << name << " differs";
      }
    }
    for (const auto& [name, text] : other) ASSERT_TRUE(whole.contains(name)) << what << ": " << name << " is left over";
  }
  static bool HasTimes(const std::string& name) {
    for (const char* end : {"metrics.jsonl", "eval.json", "results.json", "report.html"}) {
      if (name.ends_with(end)) return true;
    }
    return name == "manifest.json";  // has the command, with the folder's name
  }
  static std::map<std::string, std::string> Files(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = Text(entry.path().string());
      if (entry.is_directory() && fs::is_empty(entry.path()))
        files[fs::relative(entry.path(), folder).string() + "/"] = "";
    }
    return files;
  }
  static void Copy(const std::string& from, const std::string& to) { fs::copy(from, to, fs::copy_options::recursive); }
  static uint64_t Seed() {
    const char* given = std::getenv("R1_RESUME_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  }
  // Waits until the file has at least so many lines.
  static bool WaitForLines(const std::string& path, int lines, Process& process) {
    while (process.Running()) {
      std::ifstream file(path);
      int seen = 0;
      for (std::string line; std::getline(file, line);) ++seen;
      if (seen >= lines) return true;
      usleep(1000);
    }
    return false;
  }

  struct Shared {
    TempDir dir;
    double seconds = 0;
  };
  static Shared* shared_;
  TempDir dir_;
  const std::string log_ = dir_ / "log";
  std::string said_;
};
Resume::Shared* Resume::shared_ = nullptr;

TEST_F(Resume, TheRecipesOfTheProjectAreValid) {
  int recipes = 0;
  for (const auto& entry : fs::directory_iterator(R1_RECIPES)) {
    Process process({"run", entry.path().string(), "--dry-run"}, log_, {});
    EXPECT_EQ(process.Wait(), 0) << entry.path() << "\n" << process.Log();
    ++recipes;
  }
  EXPECT_GE(recipes, 2);
}

// The other tests mean something only if the stages learn, and by every path that has state.
TEST_F(Resume, TheRunHasSomethingToLose) {
  double mismatch = 0, gradient = 0, clipped = 0, kl = 0;
  int steps = 0;
  std::ifstream file(Whole() + "/zero/metrics.jsonl");
  for (std::string line; std::getline(file, line); ++steps) {
    const nlohmann::json j = ParseJson(line, "metrics").value();
    mismatch += j.at("logp_mismatch/max").get<double>();
    gradient += j.at("grad_norm").get<double>() > 0;
    clipped += j.at("clip_ratio/low_mean").get<double>() + j.at("clip_ratio/high_mean").get<double>();
    kl += j.at("kl").get<double>();
  }
  EXPECT_EQ(steps, 8);
  EXPECT_EQ(mismatch, 0.0);
  EXPECT_GE(gradient, 6);
  EXPECT_GT(clipped, 0.0);
  EXPECT_GT(kl, 0.0);
  EXPECT_NE(Text(Whole() + "/zero/checkpoint-6/model.safetensors"),
            Text(Whole() + "/zero/checkpoint-8/model.safetensors"));
  EXPECT_NE(Text(Whole() + "/zero/checkpoint-8/reference.safetensors"),
            Text(Whole() + "/zero/checkpoint-8/model.safetensors"));
}

TEST_F(Resume, AgainWithOneThreadIsIdentical) {
  Process process({"run", RecipePath(), "--output-dir", dir_ / "one", "--threads", "1"}, log_, {});
  ASSERT_EQ(process.Wait(), 0) << process.Log();
  ExpectAsUnbroken(dir_ / "one", "one thread");
  Process diff({"diff-runs", Whole(), dir_ / "one"}, log_, {});
  ASSERT_EQ(diff.Wait(), 0) << diff.Log();
  EXPECT_EQ(diff.Log().rfind("identical", 0), 0u) << diff.Log();
}

TEST_F(Resume, KilledAtRandomMoments) {
  constexpr int kKills = 20;
  Rng rng(Seed(), Stream::kTest);
  std::printf("R1_RESUME_SEED=%llu\n", static_cast<unsigned long long>(Seed()));
  std::set<std::string> stages;
  int kills = 0, runs = 0;
  while (kills < kKills) {
    ASSERT_LT(++runs, 100);
    const std::string folder = dir_ / ("run" + std::to_string(runs));
    std::string moments;
    for (int code = -SIGKILL; code != 0;) {
      Process process(Arguments(folder), log_, {});
      if (kills < kKills) {
        // Every other one comes after the start of the RL stage, so that a slow machine does not make all of them
        // early.
        const bool late = kills % 2 == 1;
        while (late && process.Running() && !IsDir(folder + "/zero")) usleep(500);
        const double moment = rng.Uniform() * shared_->seconds * (late ? 0.4 : 0.9);
        const auto began = Clock::now();
        while (process.Running() && Since(began) < moment) usleep(500);
        process.Send(SIGKILL);
        moments += (late ? " late " : " ") + std::to_string(moment);
      }
      code = process.Wait();
      ASSERT_TRUE(code == 0 || code == -SIGKILL) << "after kills at" << moments << "\n" << process.Log();
      if (code == 0) break;
      ++kills;
      stages.insert(IsDir(folder + "/zero") ? "rl" : IsDir(folder + "/eval_base") ? "eval" : "pretrain");
    }
    ExpectAsUnbroken(folder, "killed after" + moments + " s");
    ASSERT_TRUE(RemoveTree(folder).ok());
  }
  std::printf("%d kills in %d runs\n", kills, runs);
  EXPECT_TRUE(stages.contains("pretrain")) << "no kill came so early";
  EXPECT_TRUE(stages.contains("rl")) << "no kill came so late";
}

// Every place of a save, of the removal of an old checkpoint and of writing a file, one kill after
// the other in one run.
TEST_F(Resume, KilledAtEveryPlaceOfASave) {
  // Those before the new name cost a save each time; those after it move on by one. Removal comes
  // with the third checkpoint.
  const std::vector<std::string> places = {"checkpoint.begin",
                                           "checkpoint.after_folder",
                                           "checkpoint.after_files",
                                           "checkpoint.before_manifest",
                                           "checkpoint.after_manifest",
                                           "checkpoint.after_sync",
                                           "checkpoint.end",
                                           "checkpoint.after_rename",
                                           "checkpoint.after_parent_sync",
                                           "checkpoint.before_removing",
                                           "checkpoint.after_removing_rename",
                                           "checkpoint.after_removing"};
  std::set<std::string> all(CheckpointKillPoints().begin(), CheckpointKillPoints().end());
  EXPECT_EQ(std::set<std::string>(places.begin(), places.end()), all) << "a kill point is not tested";
  const std::string folder = dir_ / "run", between = dir_ / "between";
  for (const std::string& place : places) RunUntil(folder, place);
  EXPECT_FALSE(Exists(folder + "/zero")) << "all of them were in pretraining";
  RunUntil(folder, "rl.after_metrics");
  ASSERT_TRUE(Exists(folder + "/zero"));
  for (const std::string& place : places) RunUntil(folder, place);
  EXPECT_FALSE(Exists(folder + "/eval_zero/eval.json")) << "all of them were in reinforcement learning";
  ASSERT_EQ(Run(folder), 0) << said_;
  ExpectAsUnbroken(folder, "killed at every place of a save");
}

TEST_F(Resume, KilledInsideFilesStepsAndRollouts) {
  Rng rng(Seed() + 1000, Stream::kTest);
  const std::string folder = dir_ / "run";
  const auto nth = [&](const char* place, int64_t from, int64_t to) {
    return std::string(place) + ":" + std::to_string(rng.Range(from, to));
  };
  std::string order;
  for (const std::string& place :
       {nth("file.after_create", 1, 6), nth("file.after_write", 1, 6), nth("pretrain.after_metrics", 2, 9),
        nth("file.after_sync", 4, 12), nth("file.after_rename", 4, 12), nth("pretrain.after_metrics", 2, 5),
        nth("rollout.decode", 1, 40) /* of the evaluation */}) {
    order += " " + place;
    RunUntil(folder, place);
  }
  // Mid-rollout of several steps, between metrics and save, inside completions files.
  RunUntil(folder, "rl.after_metrics:1");
  for (int i = 0; i < 3; ++i) {
    const std::string place = nth("rollout.decode", 5, 90);
    order += " " + place;
    RunUntil(folder, place);
  }
  for (const std::string& place :
       {nth("rl.after_metrics", 2, 3), nth("file.after_write", 1, 4), nth("file.after_create", 2, 4)}) {
    order += " " + place;
    RunUntil(folder, place);
  }
  ASSERT_EQ(Run(folder), 0) << said_;
  ExpectAsUnbroken(folder, "killed at" + order);
}

// The checkpoint of the last step is the newest and damaged: the one before it is used, loudly, and
// the end is the same.
TEST_F(Resume, DamagedCheckpointsFallBack) {
  const std::string cut = dir_ / "cut";
  RunUntil(cut, "checkpoint.end:9");  // 6 saves of pretraining, then steps 2, 4 and 6
  ASSERT_TRUE(Exists(cut + "/zero/checkpoint-6"));
  ASSERT_TRUE(Exists(cut + "/zero/checkpoint-4"));
  struct Damage {
    const char* what;
    std::function<void(const std::string& checkpoint)> apply;
  };
  const Damage damages[] = {
      {"model.safetensors",
       [](const std::string& c) {
         std::string text = Text(c + "/model.safetensors");
         text[text.size() / 2] ^= 4;
         std::ofstream(c + "/model.safetensors", std::ios::binary) << text;
       }},
      {"optimizer.safetensors",
       [](const std::string& c) {
         fs::resize_file(c + "/optimizer.safetensors", fs::file_size(c + "/optimizer.safetensors") / 2);
       }},
      {"trainer_state.json", [](const std::string& c) { fs::remove(c + "/trainer_state.json"); }},
      {"reference.safetensors", [](const std::string& c) { fs::resize_file(c + "/reference.safetensors", 0); }},
      {"manifest.json", [](const std::string& c) { fs::remove(c + "/manifest.json"); }},
  };
  for (const Damage& damage : damages) {
    const std::string folder = dir_ / (std::string("of_") + damage.what);
    Copy(cut, folder);
    damage.apply(folder + "/zero/checkpoint-6");
    ASSERT_EQ(Run(folder), 0) << said_;
    EXPECT_TRUE(Said("checkpoint-6' is damaged: '" + std::string(damage.what))) << said_;
    EXPECT_TRUE(Said("checkpoint-4' instead")) << said_;
    ExpectAsUnbroken(folder, damage.what);
    ASSERT_TRUE(RemoveTree(folder).ok());
  }
}

TEST_F(Resume, AllDamagedIsAnErrorAndNothingIsDeleted) {
  const std::string folder = dir_ / "cut";
  RunUntil(folder, "checkpoint.end:9");
  for (const char* name : {"/zero/checkpoint-4", "/zero/checkpoint-6"}) {
    std::string text = Text(folder + name + "/optimizer.safetensors");
    text.back() ^= 1;
    std::ofstream(folder + name + "/optimizer.safetensors", std::ios::binary) << text;
  }
  const auto before = Files(folder);
  ASSERT_EQ(Run(folder), 65) << said_;
  EXPECT_TRUE(Said("none of the 2 checkpoints in")) << said_;
  EXPECT_TRUE(Said("restore one, or remove them")) << said_;
  auto after = Files(folder);
  for (const auto& [name, text] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    if (name != "manifest.json") {
      ASSERT_TRUE(after.at(name) == text) << name;  // that of the run names the stages that are done
    }
  }
}

TEST_F(Resume, InterruptSavesAndTheRerunEndsTheSame) {
  const std::string folder = dir_ / "run";
  for (const auto& [metrics, signal] : {std::pair{"/pretrain/metrics.jsonl", SIGINT},
                                        {"/zero/metrics.jsonl", SIGTERM},
                                        {"/zero/metrics.jsonl", SIGINT}}) {
    Process process(Arguments(folder), log_, {});
    int lines = 0;
    std::ifstream file(folder + metrics);
    for (std::string line; std::getline(file, line);) ++lines;
    ASSERT_TRUE(WaitForLines(folder + metrics, lines + 2, process)) << process.Log();
    process.Send(signal);
    ASSERT_EQ(process.Wait(), 130) << process.Log();
    EXPECT_NE(process.Log().find("is saved, run the same command again to go on"), std::string::npos) << process.Log();
  }
  ASSERT_EQ(Run(folder), 0) << said_;
  ExpectAsUnbroken(folder, "interrupted three times");
}

TEST_F(Resume, OtherSettingsInTheSameFolder) {
  const std::string folder = dir_ / "run";
  RunUntil(folder, "checkpoint.end:2");
  const auto before = Files(folder);
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--seed", "8"},
        {"--zero.num_prompts", "5"},
        {"--model.preset", "tiny-dense", "--model.num_nextn_predict_layers", "0"}}) {
    ASSERT_EQ(Run(folder, {.more = more}), 78) << said_;
    EXPECT_TRUE(Said("other settings") && Said("--output-dir")) << said_;
  }
  EXPECT_TRUE(Files(folder) == before) << "something was changed";
  ASSERT_EQ(Run(folder), 0) << said_;
  ExpectAsUnbroken(folder, "after refusals");
}

TEST_F(Resume, TwoProcessesInOneFolder) {
  const std::string folder = dir_ / "run";
  Process first(Arguments(folder), dir_ / "first", {});
  ASSERT_TRUE(WaitForLines(folder + "/pretrain/metrics.jsonl", 1, first)) << first.Log();
  first.Send(SIGSTOP);  // so that it cannot be done before the second looks
  ASSERT_EQ(Run(folder), 75) << said_;
  EXPECT_TRUE(Said("in use by another r1 process")) << said_;
  first.Send(SIGCONT);
  ASSERT_EQ(first.Wait(), 0) << first.Log();
  ExpectAsUnbroken(folder, "disturbed by a second process");
}

TEST_F(Resume, FoldersThatCannotBeWritten) {
  std::ofstream(dir_ / "file") << "x";
  for (const std::string& folder : {dir_ / "file/run", std::string("/proc/r1-no-such-folder/run")}) {
    const int code = Run(folder);
    EXPECT_TRUE(code == 73 || code == 74) << code << ": " << said_;
    EXPECT_TRUE(Said("error: cannot ")) << said_;
  }
  // No permission. Root has all of them, so the program runs as somebody else, who must be able to
  // reach it.
  ASSERT_EQ(mkdir((dir_ / "closed").c_str(), 0755), 0);
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  const bool root = geteuid() == 0;
  if (!root) {
    ASSERT_EQ(chmod((dir_ / "closed").c_str(), 0555), 0);
  }
  const int code = Run(dir_ / "closed/run", {.nobody = root});
  if (root && (code == 126 || code == 127)) {
    std::printf("not tested without permission: another user cannot start %s\n", R1_BINARY);
    return;
  }
  if (root && Said("no such recipe")) {
    std::printf("not tested without permission: another user cannot read %s\n", RecipePath().c_str());
    return;
  }
  EXPECT_TRUE(code == 73 || code == 74) << code << ": " << said_;
  EXPECT_TRUE(Said("Permission denied") && Said("choose another folder")) << said_;
}

TEST_F(Resume, FullDisk) {
  const std::string disk = dir_ / "disk", folder = disk + "/run";
  ASSERT_TRUE(MakeDirs(disk).ok());
  int64_t checkpoint = 0;
  for (const auto& entry : fs::directory_iterator(Whole() + "/pretrain/checkpoint-24"))
    checkpoint += static_cast<int64_t>(entry.file_size());
  // Room for two checkpoints and the small files, but not for the third that is written before the
  // first is removed.
  const std::string size = "size=" + std::to_string(checkpoint * 5 / 2);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, size.c_str()) != 0) {
    std::printf("not tested on a full file system: this user may not mount one\n");
    return;
  }
  const int code = Run(folder);
  const auto listed = ListCheckpoints(folder + "/pretrain");
  std::vector<int64_t> whole;
  for (const CheckpointRef& each : listed.value()) {
    EXPECT_TRUE(VerifyCheckpoint(each.path).ok()) << each.path;
    whole.push_back(each.step);
  }
  EXPECT_EQ(code, 74) << said_;
  EXPECT_TRUE(Said("needed") && Said("free") && Said("checkpoint-12")) << said_;
  EXPECT_EQ(whole, (std::vector<int64_t>{4, 8})) << "the checkpoints before it";
  // With room again the same command goes on.
  ASSERT_EQ(mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, ("size=" + std::to_string(checkpoint * 20)).c_str()), 0);
  const int again = Run(folder);
  EXPECT_EQ(again, 0) << said_;
  if (again == 0) ExpectAsUnbroken(folder, "the disk was full");
  ASSERT_EQ(umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST_F(Resume, FileSizeLimit) {
  const std::string folder = dir_ / "run";
  RunUntil(folder, "checkpoint.end:1");
  const int64_t limit =
      static_cast<int64_t>(fs::file_size(folder + "/pretrain/checkpoint-4/optimizer.safetensors")) / 2;
  ASSERT_EQ(Run(folder, {.file_limit = limit}), 74) << said_;
  EXPECT_TRUE(Said("files are limited to") && Said(".safetensors")) << said_;
  EXPECT_TRUE(VerifyCheckpoint(folder + "/pretrain/checkpoint-4").ok());
  EXPECT_EQ(ListDir(folder + "/pretrain").value(), (std::vector<std::string>{"checkpoint-4", "metrics.jsonl"}))
      << "the failed save left something";
  ASSERT_EQ(Run(folder), 0) << said_;
  ExpectAsUnbroken(folder, "files were limited");
}

}  // namespace
}  // namespace r1
