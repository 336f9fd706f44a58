#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/cgroup.h"
#include "base/check.h"
#include "base/files.h"
#include "base/test_dir.h"

namespace r1 {
namespace {

TEST(ThreadPool, EveryTaskRunsOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t count : {0, 1, 2, 7, 100, 1000}) {
      std::vector<int> runs(static_cast<size_t>(count));  // plain: two runs of one task would be a race
      std::vector<int64_t> by_worker(static_cast<size_t>(threads));
      pool.ParallelFor(count, [&](int64_t i, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, threads);
        ++runs[static_cast<size_t>(i)];
        ++by_worker[static_cast<size_t>(worker)];
      });
      for (const int each : runs) ASSERT_EQ(each, 1);
      EXPECT_EQ(std::accumulate(by_worker.begin(), by_worker.end(), int64_t{0}), count);
    }
  }
}

TEST(ThreadPool, WorkersDoTakePart) {
  ThreadPool pool(2);
  std::vector<std::atomic<int>> by_worker(2);
  // Task 0 waits until the other one has begun, so two threads must be at work.
  std::atomic<int> begun{0};
  pool.ParallelFor(2, [&](int64_t, int worker) {
    ++by_worker[static_cast<size_t>(worker)];
    ++begun;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  });
  EXPECT_EQ(by_worker[0], 1);
  EXPECT_EQ(by_worker[1], 1);
}

TEST(ThreadPool, ManyShortJobsAndPauses) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int job = 0; job < 3000; ++job) {
    std::vector<int64_t> out(static_cast<size_t>(2 + job % 5));
    pool.ParallelFor(static_cast<int64_t>(out.size()), [&](int64_t i, int) { out[static_cast<size_t>(i)] = i + 1; });
    for (const int64_t x : out) total += x;
    if (job % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // workers fall asleep
  }
  int64_t expected = 0;
  for (int job = 0; job < 3000; ++job) expected += (2 + job % 5) * (3 + job % 5) / 2;
  EXPECT_EQ(total, expected);
}

TEST(ThreadPool, TasksComeInIncreasingOrderToEachWorker) {
  ThreadPool pool(3);
  std::vector<std::vector<int64_t>> seen(3);
  pool.ParallelFor(500, [&](int64_t i, int worker) { seen[static_cast<size_t>(worker)].push_back(i); });
  for (const auto& each : seen) EXPECT_TRUE(std::is_sorted(each.begin(), each.end()));
}

TEST(ThreadPool, ExceptionReachesTheCallerAndThePoolGoesOn) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> ran{0};
    EXPECT_THROW(pool.ParallelFor(1000,
                                  [&](int64_t i, int) {
                                    ++ran;
                                    if (i == 5) throw std::runtime_error("task 5");
                                    // Longer than an exception takes on its way, else the others are done first.
                                    std::this_thread::sleep_for(std::chrono::microseconds(300));
                                  }),
                 std::runtime_error);
    EXPECT_LT(ran, 1000) << "the remaining tasks should have been dropped";
    std::atomic<int> after{0};
    pool.ParallelFor(10, [&](int64_t, int) { ++after; });
    EXPECT_EQ(after, 10);
  }
}

TEST(ThreadPool, NestedCallIsABug) {
  const CheckHandler previous =
      SetCheckHandler([](const char*, int, const std::string& message) { throw std::logic_error(message); });
  ThreadPool pool(2);
  EXPECT_THROW(pool.ParallelFor(4, [&](int64_t, int) { pool.ParallelFor(4, [](int64_t, int) {}); }), std::logic_error);
  EXPECT_THROW(ThreadPool(0), std::logic_error);
  SetCheckHandler(previous);
}

TEST(ThreadPool, WorkersFlushDenormals) {
#if defined(__x86_64__)
  ThreadPool pool(2);
  std::atomic<int> begun{0};
  std::vector<float> result(2, -1.0f);
  std::thread([&] {  // a thread of its own, so that the mode of the test's main thread stays as it is
    SetFloatMode();
    pool.ParallelFor(2, [&](int64_t, int worker) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
      volatile float tiny = std::numeric_limits<float>::min();
      result[static_cast<size_t>(worker)] = tiny * 0.5f;
    });
  })
      .join();
  EXPECT_EQ(result[0], 0.0f);
  EXPECT_EQ(result[1], 0.0f);
#endif
}

TEST(Cores, AtLeastOneAndNotMoreThanTheMachine) {
  EXPECT_GE(AvailableCores(), 1);
  EXPECT_LE(AvailableCores(), static_cast<int>(std::thread::hardware_concurrency()));
}

class FakeGroups {
 public:
  void Put(const std::string& path, const std::string& text) {
    ASSERT_TRUE(MakeDirs(ParentOf(dir_ / path)).ok());
    ASSERT_TRUE(WriteFileAtomic(dir_ / path, text).ok());
  }
  const std::string& root() const { return dir_.path(); }

 private:
  TempDir dir_;
};

TEST(Cgroup, VersionTwoTakesTheLowestLimitUpTheTree) {
  FakeGroups groups;
  groups.Put("proc/self/cgroup", "0::/machine/job\n");
  EXPECT_EQ(CgroupCpuLimit(groups.root()), 0);
  groups.Put("sys/fs/cgroup/machine/job/cpu.max", "max 100000\n");
  groups.Put("sys/fs/cgroup/machine/job/memory.max", "max\n");
  EXPECT_EQ(CgroupCpuLimit(groups.root()), 0);
  EXPECT_EQ(CgroupMemoryLimit(groups.root()), 0);
  groups.Put("sys/fs/cgroup/machine/cpu.max", "150000 100000\n");
  groups.Put("sys/fs/cgroup/machine/memory.max", "1073741824\n");
  EXPECT_EQ(CgroupCpuLimit(groups.root()), 1.5);
  EXPECT_EQ(CgroupMemoryLimit(groups.root()), 1073741824);
}

TEST(Cgroup, VersionOne) {
  FakeGroups groups;
  groups.Put("proc/self/cgroup", "5:cpuset:/a\n4:cpu,cpuacct:/b\n3:memory:/c\n");
  groups.Put("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "-1\n");
  groups.Put("sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
  groups.Put("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(CgroupCpuLimit(groups.root()), 0);
  EXPECT_EQ(CgroupMemoryLimit(groups.root()), 0);
  groups.Put("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "200000\n");
  groups.Put("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "4096\n");
  EXPECT_EQ(CgroupCpuLimit(groups.root()), 2);
  EXPECT_EQ(CgroupMemoryLimit(groups.root()), 4096);
}

}  // namespace
}  // namespace r1
