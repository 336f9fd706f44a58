#include "base/io_fault.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "base/sys_io.h"

namespace r1 {
namespace {

std::atomic<int64_t> g_calls{0};
std::atomic<int64_t> g_fail_at{0};
std::atomic<int> g_error{0};
std::atomic<std::vector<std::string>*> g_record{nullptr};

bool Fails() {
  const int64_t call = g_calls.fetch_add(1, std::memory_order_relaxed) + 1;
  if (call != g_fail_at.load(std::memory_order_relaxed)) return false;
  errno = g_error.load(std::memory_order_relaxed);
  return true;
}

void Note(bool succeeded, const char* call, const std::string& what) {
  if (std::vector<std::string>* record = g_record.load(); record != nullptr && succeeded)
    record->push_back(call + (" " + what));
}

// For the notes only.
std::string PathOf(int fd) {
  if (g_record.load() == nullptr) return "";
  char path[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof(path));
  return std::string(path, length > 0 ? static_cast<size_t>(length) : 0);
}

}  // namespace

void RecordIo(std::vector<std::string>* out) { g_record = out; }

void InjectIoFault(int64_t n, int error) {
  g_calls = 0;
  g_error = error;
  g_fail_at = n;
}

int64_t IoCalls() { return g_calls; }

namespace sys {

int OpenForWrite(const char* path, int flags) {
  return Fails() ? -1 : open(path, flags | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
}

ssize_t Write(int fd, const void* data, size_t bytes) {
  if (!Fails()) {
    const ssize_t put = write(fd, data, bytes);
    Note(put > 0, "write", PathOf(fd));
    return put;
  }
  const int error = errno;
  if (bytes > 1 && write(fd, data, bytes / 2) < 0) return -1;  // a filling disk takes a part first
  errno = error;
  return -1;
}

int Sync(int fd) {
  const int result = Fails() ? -1 : fsync(fd);
  Note(result == 0, "sync", PathOf(fd));
  return result;
}

int Rename(const char* from, const char* to) {
  const int result = Fails() ? -1 : rename(from, to);
  Note(result == 0, "rename", std::string(from) + " " + to);
  return result;
}

int Exchange(const char* a, const char* b) {
  constexpr unsigned kRenameExchange = 2;  // of linux/fs.h
  const int result = Fails() ? -1 : static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, kRenameExchange));
  Note(result == 0, "exchange", std::string(a) + " " + b);
  return result;
}

int Truncate(int fd, off_t bytes) { return Fails() ? -1 : ftruncate(fd, bytes); }
int MakeDir(const char* path) { return Fails() ? -1 : mkdir(path, 0755); }

}  // namespace sys
}  // namespace r1
