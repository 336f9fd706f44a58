#include "store/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "base/files.h"
#include "base/io_fault.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

std::vector<std::string>& Logged() {
  static std::vector<std::string> lines;
  return lines;
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    Logged().clear();
    SetLogSink([](LogLevel, std::string_view line) { Logged().emplace_back(line); });
  }
  void TearDown() override { SetLogSink(nullptr); }

  // The content is a function of (step, version), so that a mixture of two saves would show.
  static Status WriteFiles(const std::string& folder, int64_t step, int version) {
    const std::string stamp = std::to_string(step) + "v" + std::to_string(version);
    R1_TRY(WriteFileAtomic(JoinPath(folder, "model.safetensors"), std::string(5000, 'w') + stamp));
    R1_TRY(WriteFileAtomic(JoinPath(folder, "trainer_state.json"), "{\"step\": \"" + stamp + "\"}\n"));
    R1_TRY(MakeDirs(JoinPath(folder, "inner")));
    return WriteFileAtomic(JoinPath(folder, "inner/empty"), "");
  }
  static Status Save(const std::string& parent, int64_t step, int version = 1, const SaveOptions& options = {}) {
    const auto saved = SaveCheckpoint(
        parent, step, [&](const std::string& folder) { return WriteFiles(folder, step, version); }, options);
    return saved.ok() ? Status{} : saved.error();
  }
  static std::string StampOf(const std::string& checkpoint) {
    const std::string text = *ReadFile(JoinPath(checkpoint, "trainer_state.json"), 1000),
                      model = *ReadFile(JoinPath(checkpoint, "model.safetensors"), 10000);
    const std::string stamp = text.substr(10, text.rfind('"') - 10);
    return model == std::string(5000, 'w') + stamp ? stamp : "MIXED";
  }
  // Stamp of what FindCheckpoint gives, "none", or "error: ...".
  static std::string Found(const std::string& parent) {
    const auto found = FindCheckpoint(parent);
    if (!found.ok()) return "error: " + found.error().message;
    return found->has_value() ? StampOf((*found)->path) : "none";
  }
  static std::vector<std::string> Names(const std::string& parent) { return *ListDir(parent); }

  TempDir dir_;
  const std::string parent_ = dir_ / "stage";
};

TEST_F(CheckpointTest, SaveFindAndLimit) {
  EXPECT_EQ(Found(parent_), "none");
  for (const int64_t step : {9, 10, 100}) ASSERT_TRUE(Save(parent_, step).ok());
  EXPECT_EQ(Found(parent_), "100v1") << "by number, not by name";
  EXPECT_EQ(Names(parent_).size(), 3u);
  ASSERT_TRUE(Save(parent_, 200, 1, {.save_total_limit = 2}).ok());
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-100", "checkpoint-200"}));
  ASSERT_TRUE(Save(parent_, 300, 1, {.save_total_limit = 1}).ok());
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-300"}));
  ASSERT_TRUE(Save(parent_, 300, 2, {.save_total_limit = 1}).ok()) << "the step is run again";
  EXPECT_EQ(Found(parent_), "300v2");
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-300"}));
  EXPECT_TRUE(VerifyCheckpoint(JoinPath(parent_, "checkpoint-300")).ok());
  EXPECT_TRUE(Logged().empty());
}

TEST_F(CheckpointTest, OtherNamesAreLeftAlone) {
  ASSERT_TRUE(MakeDirs(JoinPath(parent_, "checkpoint-best")).ok());
  ASSERT_TRUE(MakeDirs(JoinPath(parent_, "checkpoint-007")).ok());
  ASSERT_TRUE(MakeDirs(JoinPath(parent_, "checkpoint--1")).ok());
  ASSERT_TRUE(MakeDirs(JoinPath(parent_, "my.tmp-1")).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(parent_, "metrics.jsonl"), "x").ok());
  EXPECT_EQ(Found(parent_), "none");
  ASSERT_TRUE(Save(parent_, 5, 1, {.save_total_limit = 1}).ok());
  EXPECT_EQ(Names(parent_).size(), 6u);
  EXPECT_EQ(Found(parent_), "5v1");
}

TEST_F(CheckpointTest, TheJustWrittenOneIsNeverRemoved) {
  ASSERT_TRUE(Save(parent_, 60).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(parent_, "checkpoint-60/model.safetensors"), "damaged").ok());
  ASSERT_TRUE(Save(parent_, 50, 1, {.save_total_limit = 1}).ok()) << "the run went on from before step 60";
  EXPECT_EQ(Found(parent_), "50v1");
}

TEST_F(CheckpointTest, FailedWriteLeavesNothing) {
  ASSERT_TRUE(Save(parent_, 1).ok());
  const auto saved = SaveCheckpoint(parent_, 2, [](const std::string& folder) -> Status {
    R1_TRY(WriteFileAtomic(JoinPath(folder, "half"), "x"));
    return Error{ErrorCode::kIo, "no more"};
  });
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().message, "no more");
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-1"}));
}

TEST_F(CheckpointTest, SpaceIsCheckedBeforehand) {
  ASSERT_TRUE(Save(parent_, 1).ok());
  bool called = false;
  const auto saved = SaveCheckpoint(parent_, 2,
                                    [&](const std::string&) {
                                      called = true;
                                      return Status{};
                                    },
                                    {.bytes_hint = int64_t{1} << 60});
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, ErrorCode::kIo);
  EXPECT_NE(saved.error().message.find("cannot save checkpoint-2 in '" + parent_ + "': 1.2 EB needed, "),
            std::string::npos)
      << saved.error().message;
  EXPECT_FALSE(called);
  EXPECT_EQ(Found(parent_), "1v1");
}

TEST_F(CheckpointTest, KilledAtEveryPoint) {
  std::vector<std::string> points = CheckpointKillPoints();
  for (int n = 1; n <= 4; ++n) {  // inside the files and the manifest
    for (const char* point : {"file.after_create", "file.after_write", "file.after_sync", "file.after_rename"}) {
      points.push_back(std::string(point) + ":" + std::to_string(n));
    }
  }
  int old_found = 0, new_found = 0;
  for (const bool rerun : {false, true}) {  // step 30 over nothing, and over an earlier checkpoint-30
    for (const std::string& point : points) {
      TempDir dir;
      const std::string parent = dir / "stage";
      for (const int64_t step : {10, 20}) ASSERT_TRUE(Save(parent, step).ok());
      if (rerun) {
        ASSERT_TRUE(Save(parent, 30).ok());
      }
      const std::string before = Found(parent);
      const ChildResult child = RunInChild([&] {
        ArmKillPoint(point.c_str());
        (void)Save(parent, 30, 2, {.save_total_limit = 2});
        return std::string("lived");
      });
      ASSERT_EQ(child.signal, SIGKILL) << point << " was not passed";
      const std::string after = Found(parent);
      ASSERT_TRUE(after == before || after == "30v2") << point << ": " << after;
      (after == before ? old_found : new_found)++;
      ASSERT_TRUE(Logged().empty()) << point << ": " << Logged()[0];
      // The next save goes through and clears up.
      ASSERT_TRUE(Save(parent, 40, 1, {.save_total_limit = 2}).ok()) << point;
      ASSERT_EQ(Names(parent).size(), 2u) << point;
      ASSERT_EQ(Found(parent), "40v1") << point;
      ASSERT_EQ(StampOf(JoinPath(parent, Names(parent)[0])), after == "30v2" ? "30v2" : before) << point;
    }
  }
  EXPECT_GT(old_found, 10);
  EXPECT_GT(new_found, 5);
}

TEST_F(CheckpointTest, FaultAtEveryCall) {
  int failures = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (int64_t n = 1;; ++n) {
      TempDir dir;
      const std::string parent = dir / "stage";
      for (const int64_t step : {10, 20}) ASSERT_TRUE(Save(parent, step).ok());
      InjectIoFault(n, error);
      const Status saved = Save(parent, 30, 2, {.save_total_limit = 2});
      const bool injected = IoCalls() >= n;
      InjectIoFault(0, 0);
      const std::string after = Found(parent);
      ASSERT_TRUE(after == "30v2" || (!saved.ok() && after == "20v1")) << "call " << n << ": " << after;
      if (!saved.ok()) {
        ++failures;
        ASSERT_NE(saved.error().message.find(dir.path()), std::string::npos) << saved.error().message;
        ASSERT_TRUE(Exists(JoinPath(parent, "checkpoint-10"))) << "an old checkpoint went although the new one failed";
      }
      if (!injected) break;
      ASSERT_LT(n, 100);
    }
  }
  EXPECT_GT(failures, 40);
}

// What a power cut may lose is what was not synced: every byte and name must be, before the folder gets its name.
TEST_F(CheckpointTest, EverythingIsSyncedBeforeTheRename) {
  for (const bool rerun : {false, true}) {
    std::vector<std::string> calls;
    RecordIo(&calls);
    ASSERT_TRUE(Save(parent_, 30, rerun ? 2 : 1).ok());
    RecordIo(nullptr);
    const auto last = [&](const std::string& call) {
      for (size_t i = calls.size(); i > 0; --i) {
        if (calls[i - 1].substr(0, call.size()) == call) return static_cast<int>(i);
      }
      ADD_FAILURE() << "no call " << call;
      return 0;
    };
    const std::string final = JoinPath(parent_, "checkpoint-30"),
                      temporary = final + ".tmp-" + std::to_string(getpid());
    const int published = last((rerun ? "exchange " : "rename ") + temporary + " " + final);
    for (const char* name : {"/model.safetensors", "/trainer_state.json"}) {
      EXPECT_LT(last("write " + temporary + name), last("sync " + temporary + name)) << name;
      EXPECT_LT(last("sync " + temporary + name), last("write " + temporary + "/manifest.json"))
          << "the manifest is written last";
    }
    EXPECT_LT(last("sync " + temporary + "/inner/empty"), published);
    EXPECT_LT(last("write " + temporary + "/manifest.json"), last("sync " + temporary + "/manifest.json"));
    EXPECT_LT(last("sync " + temporary + "/manifest.json"), published);
    EXPECT_LT(last("sync " + temporary + "/inner"), published);
    EXPECT_LT(last("rename " + temporary + "/manifest.json"), published);
    EXPECT_GT(last("sync " + parent_), published);
    const auto bare = std::find(calls.begin(), calls.end(), "sync " + temporary);
    EXPECT_NE(bare, calls.end()) << "the folder itself";
    EXPECT_LT(bare - calls.begin() + 1, published);
    EXPECT_EQ(
        std::count_if(calls.begin(), calls.end(), [](const std::string& call) { return call.substr(0, 5) == "sync "; }),
        8)
        << "three files and the manifest once, its folder after it, two folders and the parent";
  }
}

// On a file system that cannot swap two names.
TEST_F(CheckpointTest, ReplacingWithoutExchange) {
  ASSERT_TRUE(Save(parent_, 10, 1).ok());
  InjectIoFault(0, 0);
  ASSERT_TRUE(Save(parent_, 10, 2).ok());
  // The swap is the last call but one: the folder's sync follows it.
  const int64_t exchange = IoCalls() - 1;
  InjectIoFault(exchange, EINVAL);
  ASSERT_TRUE(Save(parent_, 10, 3).ok());
  EXPECT_EQ(IoCalls(), exchange + 3) << "two renames and the sync of the folder should have followed";
  InjectIoFault(0, 0);
  EXPECT_EQ(Found(parent_), "10v3");
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-10"}));
  const ChildResult child = RunInChild([&] {
    InjectIoFault(exchange, EINVAL);
    ArmKillPoint("checkpoint.between_renames");
    (void)Save(parent_, 10, 4);
    return std::string("lived");
  });
  ASSERT_EQ(child.signal, SIGKILL);
  EXPECT_EQ(Found(parent_), "10v3") << "while it is called checkpoint-10.replaced";
  ASSERT_TRUE(CleanCheckpointLeftovers(parent_).ok());
  EXPECT_EQ(Names(parent_), (std::vector<std::string>{"checkpoint-10"}));
  EXPECT_EQ(Found(parent_), "10v3");
}

TEST_F(CheckpointTest, EveryBitOfTheManifest) {
  ASSERT_TRUE(Save(parent_, 10).ok());
  const std::string checkpoint = JoinPath(parent_, "checkpoint-10"), path = JoinPath(checkpoint, "manifest.json");
  const std::string good = *ReadFile(path, 100000);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    std::ofstream(path) << bad;
    const Status status = VerifyCheckpoint(checkpoint);
    ASSERT_FALSE(status.ok()) << "bit " << bit % 8 << " of byte " << bit / 8;
    ASSERT_EQ(status.error().code, ErrorCode::kBadInput);
  }
  for (size_t length = 0; length < good.size(); ++length) {
    std::ofstream(path) << good.substr(0, length);
    ASSERT_FALSE(VerifyCheckpoint(checkpoint).ok()) << length;
  }
  std::ofstream(path) << good;
  EXPECT_TRUE(VerifyCheckpoint(checkpoint).ok());
}

TEST_F(CheckpointTest, DamageOfAnyFileFallsBackLoudly) {
  ASSERT_TRUE(Save(parent_, 10).ok());
  ASSERT_TRUE(Save(parent_, 20).ok());
  Rng rng(1, Stream::kTest);
  for (const char* name : {"model.safetensors", "trainer_state.json", "inner/empty", "manifest.json"}) {
    const std::string path = JoinPath(parent_, std::string("checkpoint-20/") + name), good = *ReadFile(path, 100000);
    std::vector<std::string> damaged{good + "x"};
    for (int i = 0; i < 40 && !good.empty(); ++i) {
      std::string bad = good;
      bad[rng.Below(bad.size())] ^= static_cast<char>(1 << rng.Below(8));
      damaged.push_back(bad);
    }
    if (!good.empty()) damaged.push_back(good.substr(0, good.size() - 1));
    if (!good.empty()) damaged.push_back("");
    for (const std::string& bad : damaged) {
      std::ofstream(path) << bad;
      Logged().clear();
      ASSERT_EQ(Found(parent_), "10v1") << name;
      ASSERT_EQ(Logged().size(), 2u);
      // A changed hash in the manifest is told as a difference of the file that it belongs to.
      const std::string told = std::string(name) == "manifest.json" ? "" : std::string(name) + "': ";
      ASSERT_NE(Logged()[0].find("checkpoint-20' is damaged: '" + told), std::string::npos) << Logged()[0];
      ASSERT_NE(Logged()[1].find("checkpoint-10' instead"), std::string::npos) << Logged()[1];
    }
    ASSERT_TRUE(RemoveFile(path).ok());
    ASSERT_EQ(Found(parent_), "10v1") << name << " missing";
    std::ofstream(path) << good;
    Logged().clear();
    ASSERT_EQ(Found(parent_), "20v1");
  }
  EXPECT_TRUE(WriteFileAtomic(JoinPath(parent_, "checkpoint-20/notes.txt"), "mine").ok());
  EXPECT_EQ(Found(parent_), "20v1") << "a file that somebody put there is no damage";
}

TEST_F(CheckpointTest, NoneVerifiesIsAnError) {
  ASSERT_TRUE(Save(parent_, 10).ok());
  ASSERT_TRUE(Save(parent_, 20).ok());
  for (const char* name : {"checkpoint-10", "checkpoint-20"})
    ASSERT_TRUE(RemoveFile(JoinPath(parent_, std::string(name) + "/manifest.json")).ok());
  const auto found = FindCheckpoint(parent_);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kBadInput);
  EXPECT_NE(found.error().message.find("none of the 2 checkpoints in"), std::string::npos) << found.error().message;
  EXPECT_EQ(Logged().size(), 2u);
}

TEST_F(CheckpointTest, RenamedCheckpointDoesNotVerify) {
  ASSERT_TRUE(Save(parent_, 10).ok());
  ASSERT_TRUE(RenamePath(JoinPath(parent_, "checkpoint-10"), JoinPath(parent_, "checkpoint-99")).ok());
  EXPECT_EQ(Found(parent_).substr(0, 6), "error:");
}

TEST_F(CheckpointTest, ManifestCannotPointOutside) {
  ASSERT_TRUE(Save(parent_, 10).ok());
  const std::string path = JoinPath(parent_, "checkpoint-10/manifest.json");
  const std::string good = *ReadFile(path, 100000);
  for (const char* name : {"../../secret", "/etc/passwd", "a/../b", "", "a//b", "./a"}) {
    std::string bad = good;
    bad.replace(bad.find("inner/empty"), 11, name);
    std::ofstream(path) << bad;
    EXPECT_NE(VerifyCheckpoint(JoinPath(parent_, "checkpoint-10")).error().message.find("is malformed"),
              std::string::npos)
        << name;
  }
}

TEST_F(CheckpointTest, FullDisk) {
  ASSERT_TRUE(MakeDirs(parent_).ok());
  if (!MountSmallDisk(parent_, "size=512k"))
    GTEST_SKIP() << "missing: the right to mount a small disk (root); FaultAtEveryCall covers the code";
  const auto save = [&](int64_t step, size_t bytes, int64_t hint) {
    const auto saved = SaveCheckpoint(
        parent_, step,
        [&](const std::string& folder) { return WriteFileAtomic(JoinPath(folder, "w"), std::string(bytes, 'x')); },
        {.save_total_limit = 1, .bytes_hint = hint});
    return saved.ok() ? std::string("ok") : saved.error().message;
  };
  const std::string first = save(1, 200000, 0), second = save(2, 400000, 0), third = save(3, 400000, 400000);
  const auto found = FindCheckpoint(parent_);
  const size_t names = Names(parent_).size();
  (void)umount(parent_.c_str());
  EXPECT_EQ(first, "ok");
  EXPECT_NE(second.find("No space left on device: 400.0 kB needed, "), std::string::npos) << second;
  EXPECT_NE(third.find("cannot save checkpoint-3"), std::string::npos) << third;
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->step, 1);
  EXPECT_EQ(names, 1u);
}

TEST_F(CheckpointTest, UnwritableFolder) {
  ASSERT_TRUE(MakeDirs(parent_).ok());
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(parent_.c_str(), 0555), 0);
  const ChildResult child = RunInChild([&] {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return std::string("cannot change the user");
    const Error error = Save(parent_, 1).error();
    return std::to_string(static_cast<int>(error.code)) + " " + error.message;
  });
  EXPECT_NE(child.text.find("73 cannot create '" + parent_ + "/checkpoint-1.tmp-"), std::string::npos) << child.text;
  EXPECT_NE(child.text.find("Permission denied: user "), std::string::npos) << child.text;
}

}  // namespace
}  // namespace r1
