#include "base/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/io_fault.h"
#include "base/kill_point.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

constexpr int64_t kAny = int64_t{1} << 30;

std::string Read(const std::string& path) {
  const auto text = ReadFile(path, kAny);
  return text.ok() ? *text : "ERROR " + text.error().message;
}

TEST(Files, Paths) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(ParentOf("a/b/c"), "a/b");
  EXPECT_EQ(ParentOf("a/b/"), "a");
  EXPECT_EQ(ParentOf("/a"), "/");
  EXPECT_EQ(ParentOf("a"), ".");
  EXPECT_EQ(BaseName("a/b"), "b");
  EXPECT_EQ(BaseName("a/b/"), "b");
  EXPECT_EQ(BaseName("a"), "a");
  EXPECT_EQ(BytesText(999), "999 bytes");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(999999), "1.0 MB");
  EXPECT_EQ(BytesText(12345678901), "12.3 GB");
}

TEST(Files, WriteReadListRemove) {
  TempDir dir;
  ASSERT_TRUE(MakeDirs(dir / "x/y/z").ok());
  ASSERT_TRUE(MakeDirs(dir / "x/y/z").ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "x/b", "two").ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "x/a", std::string("one\0", 4)).ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "x/a", "ONE").ok());
  EXPECT_EQ(Read(dir / "x/a"), "ONE");
  EXPECT_EQ(*ListDir(dir / "x"), (std::vector<std::string>{"a", "b", "y"}));
  EXPECT_EQ(*FileSize(dir / "x/b"), 3);
  EXPECT_TRUE(IsDir(dir / "x"));
  EXPECT_FALSE(IsDir(dir / "x/a"));
  EXPECT_GT(*FreeBytes(dir / "not/yet/there"), 0);
  ASSERT_EQ(symlink((dir / "x").c_str(), (dir / "link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(dir / "link").ok());
  EXPECT_TRUE(Exists(dir / "x/a")) << "a link was followed";
  ASSERT_TRUE(RemoveTree(dir / "x").ok());
  EXPECT_FALSE(Exists(dir / "x"));
  EXPECT_TRUE(RemoveTree(dir / "x").ok());
  EXPECT_TRUE(RemoveFile(dir / "x").ok());
}

TEST(Files, ReadRefuses) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "12345").ok());
  EXPECT_EQ(Read(dir / "f"), "12345");
  EXPECT_TRUE(ReadFile(dir / "f", 5).ok());
  EXPECT_EQ(ReadFile(dir / "f", 4).error().code, ErrorCode::kBadInput);
  EXPECT_EQ(ReadFile(dir / "nothing", kAny).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(ReadFile(dir.path(), kAny).error().message, "cannot read '" + dir.path() + "': it is a folder, not a file");
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(dir / "pipe", kAny).error().message,
            "cannot read '" + (dir / "pipe") + "': it is a pipe or a device, not a file");
  EXPECT_FALSE(MappedFile::Open(dir / "pipe").ok());
  EXPECT_FALSE(MappedFile::Open(dir.path()).ok());
  EXPECT_FALSE(Sha256OfFile(dir / "pipe").ok());
  EXPECT_FALSE(Read("/proc/self/status").empty()) << "files that say they have no bytes are read to their end";
}

// FIPS 180-2 examples.
TEST(Files, Sha256) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "a", std::string(1000000, 'a')).ok());
  EXPECT_EQ(*Sha256OfFile(dir / "a"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Files, MessagesOfAnUnprivilegedUser) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "secret", "x").ok());
  ASSERT_TRUE(MakeDirs(dir / "shut").ok());
  ASSERT_EQ(chmod((dir / "secret").c_str(), 0), 0);
  ASSERT_EQ(chmod((dir / "shut").c_str(), 0555), 0);
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  const ChildResult child = RunInChild([&] {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return std::string("cannot change the user");
    const Error read = ReadFile(dir / "secret", kAny).error(), write = WriteFileAtomic(dir / "shut/f", "x").error(),
                make = MakeDirs(dir / "shut/a/b").error();
    return read.message + "|" + std::to_string(static_cast<int>(read.code)) + "\n" + write.message + "|" +
           std::to_string(static_cast<int>(write.code)) + "\n" + make.message;
  });
  EXPECT_NE(child.text.find("cannot open '" + (dir / "secret") + "': Permission denied: user "), std::string::npos)
      << child.text;
  EXPECT_NE(child.text.find("|74\ncannot create '" + (dir / "shut/f")), std::string::npos) << child.text;
  EXPECT_NE(child.text.find("Permission denied: user "), std::string::npos) << child.text;
  EXPECT_NE(child.text.find("|73\ncannot create '" + (dir / "shut/a") + "'"), std::string::npos) << child.text;
}

TEST(Files, FileSizeLimitIsAnError) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "old").ok());
  const ChildResult child = RunInChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8192, 8192};
    setrlimit(RLIMIT_FSIZE, &limit);
    return WriteFileAtomic(dir / "f", std::string(100000, 'x')).error().message;
  });
  EXPECT_NE(child.text.find("File too large: files are limited to 8.2 kB (ulimit -f)"), std::string::npos)
      << child.text;
  EXPECT_EQ(Read(dir / "f"), "old");
  EXPECT_EQ(ListDir(dir.path())->size(), 1u) << "a temporary file stayed";
}

TEST(Files, FullDisk) {
  TempDir dir;
  if (!MountSmallDisk(dir.path(), "size=256k"))
    GTEST_SKIP() << "missing: the right to mount a small disk (root); InjectedFaults covers the code";
  EXPECT_TRUE(WriteFileAtomic(dir / "f", std::string(100000, 'o')).ok());
  const Status status = WriteFileAtomic(dir / "f", std::string(1000000, 'x'));
  const std::string kept = Read(dir / "f");
  const size_t files = ListDir(dir.path())->size();
  auto lines = LineWriter::Open(dir / "lines");
  Status appended = lines->Append("first");
  while (appended.ok()) appended = lines->Append(std::string(10000, 'y'));
  const std::string text = Read(dir / "lines");
  (void)umount(dir.path().c_str());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find("No space left on device: 1.0 MB needed, "), std::string::npos)
      << status.error().message;
  EXPECT_NE(status.error().message.find(" free there; free some space"), std::string::npos) << status.error().message;
  EXPECT_EQ(kept, std::string(100000, 'o'));
  EXPECT_EQ(files, 1u);
  EXPECT_EQ(text.substr(0, 6), "first\n");
  EXPECT_EQ(text.back(), '\n') << "half a line stayed";
}

// SQLite's method: the n-th call fails, for every n until none does.
TEST(Files, InjectedFaultsLeaveOldOrNew) {
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    TempDir dir;
    ASSERT_TRUE(WriteFileAtomic(dir / "f", "old").ok());
    int64_t failures = 0;
    for (int64_t n = 1;; ++n) {
      InjectIoFault(n, error);
      const Status status = WriteFileAtomic(dir / "f", "new bytes");
      InjectIoFault(0, 0);
      const std::string now = Read(dir / "f");
      ASSERT_EQ(ListDir(dir.path())->size(), 1u) << "call " << n << " left a temporary file";
      if (status.ok()) {
        ASSERT_EQ(now, "new bytes");
        break;
      }
      ++failures;
      ASSERT_TRUE(now == "old" || now == "new bytes") << now;
      ASSERT_NE(status.error().message.find(dir.path()), std::string::npos) << status.error().message;
      ASSERT_LT(n, 20);
    }
    EXPECT_EQ(failures, 5) << "open, write, sync, rename, sync of the folder";
  }
}

TEST(Files, KilledAtEveryPoint) {
  TempDir dir;
  for (const char* point : {"file.after_create", "file.after_write", "file.after_sync", "file.after_rename"}) {
    ASSERT_TRUE(WriteFileAtomic(dir / "f", "old").ok());
    const ChildResult child = RunInChild([&] {
      ArmKillPoint(point);
      (void)WriteFileAtomic(dir / "f", "new bytes");
      return std::string("lived");
    });
    EXPECT_EQ(child.signal, SIGKILL) << point << " was not passed";
    const std::string now = Read(dir / "f");
    EXPECT_EQ(now, std::string(point) == "file.after_rename" ? "new bytes" : "old") << point;
  }
}

TEST(KillPoint, CountsAndEnvironmentForm) {
  const auto run = [](const char* spec) {
    return RunInChild([&] {
      ArmKillPoint(spec);
      for (int i = 0; i < 5; ++i) KillPoint("here");
      return std::string("lived");
    });
  };
  EXPECT_EQ(run("here").signal, SIGKILL);
  EXPECT_EQ(run("here:5").signal, SIGKILL);
  EXPECT_EQ(run("here:6").text, "lived");
  EXPECT_EQ(run("there").text, "lived");
  EXPECT_EQ(run("").text, "lived");
}

TEST(FileWriter, RemovesAnUnfinishedFile) {
  TempDir dir;
  {
    auto writer = FileWriter::Create(dir / "f");
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Write("half").ok());
    EXPECT_EQ(writer->bytes(), 4);
    EXPECT_TRUE(Exists(dir / "f"));
  }
  EXPECT_FALSE(Exists(dir / "f"));
  EXPECT_EQ(FileWriter::Create(dir / "no/f").error().code, ErrorCode::kCannotCreate);
}

TEST(LineWriter, AppendReopenAndCut) {
  TempDir dir;
  int64_t after_two = 0;
  {
    auto writer = LineWriter::Open(dir / "m.jsonl");
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Append("one").ok());
    ASSERT_TRUE(writer->Append("two").ok());
    EXPECT_EQ(Read(dir / "m.jsonl"), "one\ntwo\n") << "each line is in the file at once";
    after_two = writer->bytes();
    ASSERT_TRUE(writer->Append("three").ok());
    ASSERT_TRUE(writer->Sync().ok());
  }
  {
    auto writer = LineWriter::Open(dir / "m.jsonl", after_two);
    ASSERT_TRUE(writer->Append("THREE").ok());
    EXPECT_EQ(Read(dir / "m.jsonl"), "one\ntwo\nTHREE\n");
  }
  EXPECT_TRUE(LineWriter::Open(dir / "m.jsonl", 0).ok());
  EXPECT_EQ(Read(dir / "m.jsonl"), "");
  EXPECT_EQ(LineWriter::Open(dir / "m.jsonl", 5).error().code, ErrorCode::kBadInput);
}

TEST(LineWriter, TornLastLineIsDropped) {
  TempDir dir;
  for (const auto& [before, kept] : std::vector<std::pair<std::string, std::string>>{
           {"a\nb", "a\n"}, {"abc", ""}, {"", ""}, {"a\n", "a\n"}, {"x\n" + std::string(10000, 'y'), "x\n"}}) {
    ASSERT_TRUE(WriteFileAtomic(dir / "f", before).ok());
    auto writer = LineWriter::Open(dir / "f");
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(writer->bytes(), static_cast<int64_t>(kept.size()));
    ASSERT_TRUE(writer->Append("next").ok());
    EXPECT_EQ(Read(dir / "f"), kept + "next\n");
  }
}

TEST(LineWriter, FailedWriteLeavesWholeLines) {
  TempDir dir;
  auto writer = LineWriter::Open(dir / "f");
  ASSERT_TRUE(writer->Append("first").ok());
  InjectIoFault(1, ENOSPC);
  EXPECT_FALSE(writer->Append("a long line that is cut").ok());
  InjectIoFault(0, 0);
  EXPECT_EQ(Read(dir / "f"), "first\n");
  EXPECT_TRUE(writer->Append("second").ok());
  EXPECT_EQ(Read(dir / "f"), "first\nsecond\n");
}

TEST(MappedFile, ReadsAndMoves) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "mapped bytes").ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "empty", "").ok());
  auto opened = MappedFile::Open(dir / "f");
  ASSERT_TRUE(opened.ok());
  MappedFile file = std::move(opened).value();
  EXPECT_EQ(file.bytes(), "mapped bytes");
  EXPECT_TRUE(file.CheckIntact().ok());
  auto empty = MappedFile::Open(dir / "empty");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->bytes().empty());
  EXPECT_TRUE(empty->CheckIntact().ok());
}

TEST(MappedFile, ShortenedFileIsAnErrorNotACrash) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", std::string(100000, 'x')).ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "g", std::string(100000, 'g')).ok());
  auto file = MappedFile::Open(dir / "f");
  auto other = MappedFile::Open(dir / "g");
  ASSERT_TRUE(file.ok() && other.ok());
  ASSERT_EQ(truncate((dir / "f").c_str(), 4096), 0);
  int64_t sum = 0;
  for (const char c : file->bytes()) sum += c;
  EXPECT_EQ(sum, 4096 * 'x');
  const Status intact = file->CheckIntact();
  ASSERT_FALSE(intact.ok());
  EXPECT_NE(intact.error().message.find("was shortened by another process"), std::string::npos);
  EXPECT_TRUE(other->CheckIntact().ok());
  // Grown again: the size alone would not show what was read as zeros.
  ASSERT_EQ(truncate((dir / "f").c_str(), 100000), 0);
  EXPECT_FALSE(file->CheckIntact().ok());
}

TEST(MappedFile, OtherBusErrorsStillEndTheProcess) {
  const ChildResult child = RunInChild([] {
    TempDir dir;
    (void)WriteFileAtomic(dir / "f", "x");
    const auto file = MappedFile::Open(dir / "f");
    raise(SIGBUS);
    return std::string("lived");
  });
  EXPECT_TRUE(child.signal == SIGBUS || child.exit_code != 0) << "a sanitizer reports it and exits";
  EXPECT_EQ(child.text, "");
}

}  // namespace
}  // namespace r1
