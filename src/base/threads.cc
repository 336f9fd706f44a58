// One job at a time is published in state_: generation (high 48 bits), open flag, number of workers inside. A worker
// enters only while the job is open, so the caller never waits for a worker that slept through the job: it closes the
// job when no task is left and waits for those inside. Idle workers spin for kSpin, since tasks come in quick
// succession, then sleep.
#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cgroup.h"
#include "base/check.h"

namespace r1 {
namespace {

constexpr auto kSpin = std::chrono::microseconds(30);
constexpr uint64_t kOpen = 1u << 15;
constexpr uint64_t kInside = kOpen - 1;
constexpr int kGenerationShift = 16;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Spins until ready() or kSpin has passed; returns whether ready.
template <class Ready>
bool SpinUntil(Ready ready) {
  if (ready()) return true;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

void SetFloatMode() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ (bit 15) and DAZ (bit 6)
#elif defined(__aarch64__)
  uint64_t fpcr = 0;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  asm volatile("msr fpcr, %0" : : "r"(fpcr | (uint64_t{1} << 24)));  // FZ
#endif
}

int AvailableCores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  const double quota = CgroupCpuLimit("");
  if (quota > 0) cores = std::min(cores, static_cast<int>(std::ceil(quota)));
  return std::max(cores, 1);
}

struct ThreadPool::Impl {
  std::atomic<uint64_t> state{0};
  std::atomic<uint32_t> wake{0};  // raised with every job; sleeping workers wait on it
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) int64_t count = 0;
  const std::function<void(int64_t, int)>* task = nullptr;
  std::mutex error_mutex;
  std::exception_ptr error;
  std::vector<std::thread> workers;

  void RunTasks(int worker) {
    for (;;) {
      const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      try {
        (*task)(i, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(count, std::memory_order_relaxed);  // the remaining tasks are dropped
      }
    }
  }

  // Enters the open job unless it is `seen` already; true if inside.
  bool Enter(uint64_t* seen) {
    uint64_t s = state.load(std::memory_order_acquire);
    while ((s & kOpen) != 0 && (s >> kGenerationShift) != *seen) {
      if (state.compare_exchange_weak(s, s + 1, std::memory_order_acq_rel)) {
        *seen = s >> kGenerationShift;
        return true;
      }
    }
    return false;
  }

  void WorkerLoop(int worker) {
    SetFloatMode();
    uint64_t seen = 0;
    for (;;) {
      const uint32_t ticket =
          wake.load(std::memory_order_acquire);  // before the looks below, so that no change is slept through
      if (stop.load(std::memory_order_acquire)) return;
      if (Enter(&seen)) {
        RunTasks(worker);
        const uint64_t before = state.fetch_sub(1, std::memory_order_acq_rel);
        if ((before & kOpen) == 0 && (before & kInside) == 1) state.notify_all();
        continue;
      }
      if (!SpinUntil([&] { return wake.load(std::memory_order_acquire) != ticket; })) wake.wait(ticket);
    }
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()) {
  R1_CHECK(threads >= 1 && threads < static_cast<int>(kInside), "ThreadPool: number of threads out of range");
  for (int worker = 1; worker < threads; ++worker) {
    impl_->workers.emplace_back([impl = impl_.get(), worker] { impl->WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  impl_->stop.store(true, std::memory_order_release);
  impl_->wake.fetch_add(1, std::memory_order_release);
  impl_->wake.notify_all();
  for (std::thread& worker : impl_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::ParallelFor(int64_t count, const std::function<void(int64_t, int)>& task) {
  if (count <= 0) return;
  Impl& p = *impl_;
  if (count == 1 || p.workers.empty()) {
    for (int64_t i = 0; i < count; ++i) task(i, 0);
    return;
  }
  R1_CHECK(p.task == nullptr, "ThreadPool::ParallelFor called from inside a task");
  p.task = &task;
  p.count = count;
  p.next.store(0, std::memory_order_relaxed);
  const uint64_t generation = (p.state.load(std::memory_order_relaxed) >> kGenerationShift) + 1;
  p.state.store(generation << kGenerationShift | kOpen, std::memory_order_release);
  p.wake.fetch_add(1, std::memory_order_acq_rel);
  p.wake.notify_all();
  p.RunTasks(0);
  p.state.fetch_and(~kOpen, std::memory_order_acq_rel);
  const auto empty = [&] { return (p.state.load(std::memory_order_acquire) & kInside) == 0; };
  while (!SpinUntil(empty)) {
    const uint64_t s = p.state.load(std::memory_order_acquire);
    if ((s & kInside) != 0) p.state.wait(s);
  }
  p.task = nullptr;
  if (p.error) std::rethrow_exception(std::exchange(p.error, nullptr));
}

}  // namespace r1
