// A small pool of persistent workers. Results never depend on the number of threads: callers give every task its own
// output and reduce in a fixed order. Floating-point mode of every worker (and of the caller, via SetFloatMode) is
// flush-to-zero, denormals-are-zero, which the matrix-tile instructions use too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace r1 {

// Sets FTZ and DAZ for the calling thread where the machine has them. Compute threads must call it; the pool's workers
// do.
void SetFloatMode();

// Number of processors this process may run on (affinity and cgroup quota respected), at least 1.
int AvailableCores();

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // threads >= 1; the caller counts as one, so threads-1 workers are started
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int threads() const;
  // Runs task(i, worker) for i in [0, count), tasks handed out dynamically in increasing order; returns when all are
  // done. worker is in [0, threads()). Not reentrant. The first exception thrown by a task is rethrown in the caller.
  void ParallelFor(int64_t count, const std::function<void(int64_t i, int worker)>& task);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1
