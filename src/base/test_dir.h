// For tests: a folder of its own that goes away with the object, and a child process whose last words can be read.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "base/files.h"

namespace r1 {

class TempDir {
 public:
  TempDir() {
    // In memory where that is possible: the tests sync thousands of times, which takes minutes on a slow disk.
    const char* base = std::getenv("TMPDIR");
    if (base == nullptr) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    path_ = JoinPath(base, "r1_test_XXXXXX");
    R1_CHECK(mkdtemp(path_.data()) != nullptr, "cannot make a folder for the test: " + path_);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { (void)RemoveTree(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return JoinPath(path_, name); }

 private:
  std::string path_;
};

// Mounts a small empty file system on the folder, seen by this process alone, so that it goes away even if the test is
// killed. False if that is not allowed here.
inline bool MountSmallDisk(const std::string& folder, const char* size) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return mount("tmpfs", folder.c_str(), "tmpfs", 0, size) == 0;
}

struct ChildResult {
  int signal = 0;  // that ended it, or 0
  int exit_code = 0;
  std::string text;  // what the function returned
};

// Runs the function in a forked process (which must have no other threads that matter) and returns how it ended.
inline ChildResult RunInChild(const std::function<std::string()>& function) {
  int ends[2];
  R1_CHECK(pipe(ends) == 0, "pipe");
  const pid_t child = fork();
  R1_CHECK(child >= 0, "fork");
  if (child == 0) {
    close(ends[0]);
    const std::string text = function();
    const bool written = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  ChildResult result;
  char block[4096];
  for (ssize_t got = 0; (got = read(ends[0], block, sizeof(block))) > 0;)
    result.text.append(block, static_cast<size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace r1
