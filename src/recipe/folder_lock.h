// One process at a time works in a run folder. The lock, on its file .lock, goes with the process, however it ends.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace r1 {

class FolderLock {
 public:
  // kTryAgain if another process has it.
  static Result<FolderLock> Take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace r1
