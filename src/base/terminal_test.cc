// log.h, progress.h, interrupt.h, memory.h.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

std::vector<std::string>& Lines() {
  static std::vector<std::string> lines;
  return lines;
}

TEST(Log, LevelsAndEscapes) {
  Lines().clear();
  SetLogSink([](LogLevel, std::string_view line) { Lines().emplace_back(line); });
  LogDebug("hidden");
  LogInfo("shown");
  LogWarn("two\nlines\r\x1b[31m");
  SetLogLevel(LogLevel::kError);
  LogWarn("hidden");
  LogError("bad");
  SetLogLevel(LogLevel::kInfo);
  SetLogSink(nullptr);
  EXPECT_EQ(Lines(), (std::vector<std::string>{"shown", "warning: two\n  lines\\x0d\\x1b[31m", "error: bad"}));
}

TEST(Log, FileHasTimesAndAllLevels) {
  TempDir dir;
  SetLogSink([](LogLevel, std::string_view) {});
  ASSERT_TRUE(SetLogFile(dir / "log.txt").ok());
  LogDebug("a");
  LogError("b\nforged");
  ASSERT_TRUE(SetLogFile("").ok());
  LogError("not in the file");
  SetLogSink(nullptr);
  const std::string text = *ReadFile(dir / "log.txt", 10000);
  ASSERT_EQ(text.size(), 3 * 21 - 21 + std::string("debug a\nerror b\n  forged\n").size()) << text;
  EXPECT_EQ(text.substr(20, 9), " debug a\n");
  EXPECT_EQ(text[4], '-');
  EXPECT_EQ(text[19], 'Z');
  EXPECT_EQ(text.substr(text.size() - 10), "\n  forged\n");
  EXPECT_FALSE(SetLogFile(dir / "no/log.txt").ok());
}

TEST(Progress, Durations) {
  EXPECT_EQ(DurationText(0), "0:00");
  EXPECT_EQ(DurationText(7.4), "0:07");
  EXPECT_EQ(DurationText(59.6), "1:00");
  EXPECT_EQ(DurationText(754), "12:34");
  EXPECT_EQ(DurationText(3723), "1:02:03");
  EXPECT_EQ(DurationText(-5), "0:00");
}

TEST(Progress, Bar) {
  EXPECT_EQ(BarText("zero", 5, 10, 83, "reward 0.41", 100), "zero [==========>         ] 5/10  ETA 1:23  reward 0.41");
  EXPECT_EQ(BarText("zero", 10, 10, -1, "", 100), "zero [====================] 10/10");
  EXPECT_EQ(BarText("zero", 0, 0, -1, "", 100), "zero [>                   ] 0/0");
  EXPECT_EQ(BarText("对对对对", 1, 2, -1, "", 4), "对对对");
}

struct Recorder {
  std::vector<std::string> lines, statuses;
  double now = 0;
  Progress::Output Output(bool terminal) {
    return {.terminal = terminal,
            .width = 80,
            .line = [this](std::string_view text) { lines.emplace_back(text); },
            .status = [this](std::string_view text) { statuses.emplace_back(text); },
            .now = [this] { return now; }};
  }
};

TEST(Progress, OneLineAStepWithoutATerminal) {
  Recorder recorder;
  Progress progress("zero", 20, 10, recorder.Output(false));
  progress.Update(10, "reward 0.1");
  recorder.now = 30;
  progress.Update(15, "reward 0.2");
  recorder.now = 60;
  progress.Update(20, "reward 0.3");
  progress.Finish("reward 0.3");
  EXPECT_EQ(recorder.lines, (std::vector<std::string>{"zero 10/20  reward 0.1", "zero 15/20  ETA 0:30  reward 0.2",
                                                      "zero 20/20  reward 0.3", "zero: reward 0.3  (1:00)"}));
  EXPECT_TRUE(recorder.statuses.empty());
}

TEST(Progress, RedrawsAtMostTenTimesASecondOnATerminal) {
  Recorder recorder;
  {
    Progress progress("zero", 1000, 0, recorder.Output(true));
    for (int i = 1; i <= 1000; ++i) {
      recorder.now = i * 0.001;
      progress.Update(i, "x");
    }
    EXPECT_LE(recorder.statuses.size(), 13u);
    EXPECT_GE(recorder.statuses.size(), 9u);
    EXPECT_EQ(recorder.statuses.back(), "zero [====================] 1000/1000  x") << "the last step is always shown";
    EXPECT_TRUE(recorder.lines.empty());
  }
  EXPECT_EQ(recorder.statuses.back(), "") << "an unfinished bar is taken away";
}

TEST(Interrupt, FirstAsksSecondEnds) {
  const ChildResult first = RunInChild([] {
    InstallInterruptHandler();
    if (Interrupted()) return std::string("early");
    raise(SIGINT);
    const std::string text = Interrupted() ? "asked" : "lost";
    ClearInterrupt();
    return text + (Interrupted() ? " still" : " cleared");
  });
  EXPECT_EQ(first.text, "asked cleared");
  const ChildResult second = RunInChild([] {
    InstallInterruptHandler();
    raise(SIGTERM);
    raise(SIGINT);
    return std::string("lived");
  });
  EXPECT_EQ(second.exit_code, 130);
  EXPECT_EQ(second.text, "");
}

TEST(Memory, AlignedZeroedMovable) {
  for (const int64_t count : {int64_t{0}, int64_t{1}, int64_t{17}, int64_t{1} << 20, (int64_t{3} << 20) + 5}) {
    AlignedBuffer<float> buffer(count);
    EXPECT_EQ(buffer.size(), count);
    EXPECT_EQ(buffer.empty(), count == 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (const float x : buffer) ASSERT_EQ(x, 0.0f);
    for (float& x : buffer) x = 1;
    AlignedBuffer<float> moved = std::move(buffer);
    EXPECT_EQ(moved.size(), count);
    if (count > 0) {
      EXPECT_EQ(moved[count - 1], 1.0f);
    }
    moved = AlignedBuffer<float>(3);
    EXPECT_EQ(moved[2], 0.0f);
  }
}

TEST(Memory, OutOfMemoryIsToldWithTheBytes) {
  const auto buffer = AlignedBuffer<double>::Create(int64_t{1} << 60);
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(buffer.error().code, ErrorCode::kTryAgain);
  EXPECT_NE(buffer.error().message.find("out of memory: 9.2 EB wanted"), std::string::npos) << buffer.error().message;
  EXPECT_FALSE(AlignedBuffer<double>::Create(INT64_MAX).ok());
  EXPECT_FALSE(AlignedBuffer<double>::Create(-1).ok());
  EXPECT_EXIT(AlignedBuffer<char>(int64_t{1} << 46), testing::ExitedWithCode(75), "out of memory: 70.4 TB wanted");
}

TEST(Memory, Figures) {
  EXPECT_GT(PeakRssBytes(), 1 << 20);
  EXPECT_GT(TotalMemoryBytes(), FreeMemoryBytes());
  EXPECT_GT(FreeMemoryBytes(), 0);
  EXPECT_GE(TotalMemoryBytes(), PeakRssBytes());
}

}  // namespace
}  // namespace r1
